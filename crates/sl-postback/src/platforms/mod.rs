//! The ad platforms, one file each.

mod creatortraffic;
mod members;
mod meta;
mod shared;
mod snapchat;
mod tiktok;

use std::sync::Arc;

use sl_core::catalog::PlatformKind;

use crate::platform::AdPlatform;
pub use creatortraffic::CreatorTraffic;
pub use meta::Meta;
pub use snapchat::Snapchat;
pub use tiktok::TikTok;

/// The platforms this installation can deliver to.
#[derive(Clone, Default)]
pub struct Platforms(Vec<Arc<dyn AdPlatform>>);

impl Platforms {
    /// Adds one.
    #[must_use]
    pub fn with(mut self, platform: impl AdPlatform) -> Self {
        self.0.push(Arc::new(platform));
        self
    }

    /// The platform of a pixel, if this installation can deliver to it.
    #[must_use]
    pub fn get(&self, kind: PlatformKind) -> Option<&Arc<dyn AdPlatform>> {
        self.0.iter().find(|platform| platform.kind() == kind)
    }
}
