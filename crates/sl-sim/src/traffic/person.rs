//! A visitor carries out its plan, over real HTTP.

use std::{sync::Arc, time::Duration};

use http::Method;
use tokio_util::sync::CancellationToken;

use super::{
    Inner,
    book::{Hit, Message, Payment, Subscriber, Trouble},
    browser::{self, Device, Why},
    creators::{self, NotDone},
    plan::{self, Act, Ad, Arrival, Script},
};

/// Fans are numbered like visitors, from here.
const FIRST_FAN: u64 = 400_000_000;
/// Looks with HEAD come from devices of their own.
const LOOKERS: u64 = 9_000_000;

/// Visitor `number` comes, does what it does, and leaves; at `shutdown` after the act at hand.
pub(super) async fn arrive(inner: Arc<Inner>, number: u64, shutdown: CancellationToken) {
    match plan::arrival(&inner.config, number) {
        Arrival::Bot { user_agent, target } => bot(&inner, number, user_agent, target).await,
        Arrival::Head { target } => head(&inner, number * 2, target).await,
        Arrival::Person(script) => Person::new(&inner, number, &script).live(script, &shutdown).await,
    }
}

/// Asks every link with HEAD, to learn its overflow link: the book tells shared links from people's own by it.
pub(super) async fn look_ahead(inner: &Inner) {
    for target in 0..inner.config.targets.len() {
        head(inner, LOOKERS + target as u64, target).await;
    }
}

async fn bot(inner: &Inner, number: u64, user_agent: &str, target: usize) {
    let headers = browser::visitor(number * 2, user_agent);
    match browser::ask(inner, Method::GET, &path(inner, target, ""), headers).await {
        Some(answer) if answer.status == 302 => inner.book.bot(target, answer.location),
        Some(_) => inner.book.trouble(Trouble::Redirect),
        None => inner.book.trouble(Trouble::Unanswered),
    }
}

async fn head(inner: &Inner, device: u64, target: usize) {
    let headers = browser::visitor(device, "Mozilla/5.0 (compatible; link checker)");
    match browser::ask(inner, Method::HEAD, &path(inner, target, ""), headers).await {
        Some(answer) if answer.status == 302 => inner.book.head(target, answer.location),
        Some(_) => inner.book.trouble(Trouble::Redirect),
        None => inner.book.trouble(Trouble::Unanswered),
    }
}

fn path(inner: &Inner, target: usize, query: &str) -> String {
    let id = inner.config.targets.get(target).map(|target| target.id.to_string()).unwrap_or_default();
    if query.is_empty() { format!("/go/{id}") } else { format!("/go/{id}?{query}") }
}

/// Whether somebody goes on.
type Goes = Result<(), Leaves>;
/// The person stops: something went wrong, or it is time to close.
struct Leaves;

struct Person<'a> {
    inner: &'a Inner,
    fan: u64,
    devices: Vec<Device>,
    /// Where each device was sent, in order: device, target, address.
    seen: Vec<(usize, usize, String)>,
    /// The creator, once subscribed.
    account: Option<String>,
    last_payment: Option<String>,
}

impl<'a> Person<'a> {
    fn new(inner: &'a Inner, number: u64, script: &Script) -> Self {
        let numbers = (number * 2)..;
        let devices = numbers.zip(&script.devices).map(|(number, plan)| Device::new(number, *plan)).collect();
        let fan = FIRST_FAN + number;
        Self { inner, fan, devices, seen: Vec::new(), account: None, last_payment: None }
    }

    async fn live(mut self, script: Script, shutdown: &CancellationToken) {
        for (wait, act) in script.acts {
            if self.wait(wait, shutdown).await.is_err() || self.act(act).await.is_err() {
                return;
            }
        }
    }

    async fn wait(&self, wait: Duration, shutdown: &CancellationToken) -> Goes {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Err(Leaves),
            () = self.inner.config.timer.sleep(wait) => Ok(()),
        }
    }

    async fn act(&mut self, act: Act) -> Goes {
        match act {
            Act::Prefetch { device, ad } => self.prefetch(device, &ad).await,
            Act::Tap { device, ad, times: 2 } => self.tap_twice(device, &ad).await,
            Act::Tap { device, ad, .. } => self.tap(device, &ad).await,
            Act::Subscribe { device, first } => self.subscribe(device, first).await,
            Act::Pay { kind, cents } => self.pay(kind, cents).await,
            Act::TakeBack { status } => self.take_back(status).await,
            Act::Write => self.write().await,
        }
    }

    async fn prefetch(&mut self, device: usize, ad: &Ad) -> Goes {
        let device = self.devices.get(device).ok_or(Leaves)?;
        let path = path(self.inner, ad.target, &ad.query);
        match device.ask(self.inner, Why::Prefetch, &path).await {
            // Refused, so that the visit comes (decisions 1).
            Some(answer) if answer.status == 503 => self.inner.book.prefetch(ad.target),
            Some(_) => self.inner.book.trouble(Trouble::Redirect),
            None => self.inner.book.trouble(Trouble::Unanswered),
        }
        Ok(())
    }

    async fn tap(&mut self, device: usize, ad: &Ad) -> Goes {
        let at = self.inner.config.clock.now();
        let path = path(self.inner, ad.target, &ad.query);
        let who = self.devices.get(device).ok_or(Leaves)?;
        let answer = who.ask(self.inner, Why::Visit, &path).await;
        self.came(device, ad, at, answer)
    }

    async fn tap_twice(&mut self, device: usize, ad: &Ad) -> Goes {
        let at = self.inner.config.clock.now();
        let path = path(self.inner, ad.target, &ad.query);
        let who = self.devices.get(device).ok_or(Leaves)?;
        let (one, two) =
            tokio::join!(who.ask(self.inner, Why::Visit, &path), who.ask(self.inner, Why::Visit, &path));
        let first = self.came(device, ad, at, one);
        let second = self.came(device, ad, at, two);
        first.and(second)
    }

    /// The browser was answered: remembers where it was sent.
    fn came(
        &mut self,
        device: usize,
        ad: &Ad,
        at: sl_core::time::Timestamp,
        answer: Option<browser::Answer>,
    ) -> Goes {
        let Some(answer) = answer else {
            // Nobody knows whether the click was noted: such a person does nothing more.
            self.inner.book.trouble(Trouble::Unanswered);
            return Err(Leaves);
        };
        let location = answer.location.clone().filter(|_| answer.status == 302);
        let Some(location) = location else {
            self.inner.book.trouble(Trouble::Redirect);
            return Err(Leaves);
        };
        let who = self.devices.get_mut(device).ok_or(Leaves)?;
        who.remember(&answer);
        self.inner.book.hit(Hit {
            device: who.number,
            by_cookie: who.plan.keeps_cookies,
            target: ad.target,
            ecid: ad.ecid.clone(),
            by_creatortraffic: ad.by_creatortraffic,
            at,
            location: location.clone(),
        });
        self.seen.push((device, ad.target, location));
        Ok(())
    }

    async fn subscribe(&mut self, device: usize, first: bool) -> Goes {
        let mut mine = self.seen.iter().filter(|(who, ..)| *who == device);
        let seen = if first { mine.next() } else { mine.next_back() };
        let (_, _, location) = seen.cloned().ok_or(Leaves)?;
        if let Err(not_done) = creators::visit(self.inner, &location).await {
            self.inner.book.trouble(match not_done {
                NotDone::Refused => Trouble::Page,
                NotDone::Unknown => Trouble::Unknown,
            });
            return Err(Leaves);
        }
        match creators::subscribe(self.inner, &location, self.fan).await {
            Ok(subscribed) if subscribed.new => self.subscribed(location, subscribed),
            // The offer was somebody else's, or is over.
            Ok(_) | Err(NotDone::Refused) => self.inner.book.trouble(Trouble::Offer),
            Err(NotDone::Unknown) => self.inner.book.trouble(Trouble::Unknown),
        }
        if self.account.is_some() { Ok(()) } else { Err(Leaves) }
    }

    fn subscribed(&mut self, location: String, subscribed: creators::Subscribed) {
        self.inner.book.subscribed(Subscriber {
            fan: self.fan,
            account: subscribed.account.clone(),
            location,
            at: subscribed.subscribed_at,
        });
        if let Some(transaction) = subscribed.transaction {
            self.inner.book.paid(Payment {
                fan: self.fan,
                account: subscribed.account.clone(),
                transaction: transaction.clone(),
                kind: "new_subscription".to_owned(),
                gross_cents: subscribed.price_cents,
                at: subscribed.subscribed_at,
                is_back: false,
            });
            self.last_payment = Some(transaction);
        }
        self.account = Some(subscribed.account);
    }

    async fn pay(&mut self, kind: &str, cents: i64) -> Goes {
        let account = self.account.clone().ok_or(Leaves)?;
        let paid = creators::pay(self.inner, &account, self.fan, kind, cents).await;
        let paid = paid.map_err(|not_done| self.not_done(not_done))?;
        self.inner.book.paid(Payment {
            fan: self.fan,
            account,
            transaction: paid.transaction.clone(),
            kind: kind.to_owned(),
            gross_cents: paid.gross_cents,
            at: paid.at,
            is_back: false,
        });
        self.last_payment = Some(paid.transaction);
        Ok(())
    }

    async fn take_back(&mut self, status: &str) -> Goes {
        let account = self.account.clone().ok_or(Leaves)?;
        // A free subscription has nothing to take back.
        let Some(transaction) = self.last_payment.take() else { return Ok(()) };
        let done = creators::take_back(self.inner, &account, &transaction, status).await;
        done.map_err(|not_done| self.not_done(not_done))?;
        self.inner.book.changed(&transaction, status);
        Ok(())
    }

    async fn write(&mut self) -> Goes {
        let account = self.account.clone().ok_or(Leaves)?;
        let written = creators::write(self.inner, &account, self.fan).await;
        let written = written.map_err(|not_done| self.not_done(not_done))?;
        self.inner.book.wrote(Message { fan: self.fan, account, at: written.at });
        Ok(())
    }

    fn not_done(&self, not_done: NotDone) -> Leaves {
        self.inner.book.trouble(match not_done {
            NotDone::Refused => Trouble::Offer,
            NotDone::Unknown => Trouble::Unknown,
        });
        Leaves
    }
}
