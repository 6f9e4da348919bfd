//! Frames and headers, without a journal around them.

use super::*;
use sl_core::{event::JournalId, time::Timestamp};

#[test]
fn names_sort_in_the_order_of_writing() {
    let name = |first, ordinal| SegmentName { ordinal, first }.to_string();
    let names = [name(0, 0), name(0, 1), name(9, 2), name(10, 3), name(10, 12), name(1_000_000, 13)];
    assert!(names.is_sorted());
    for text in &names {
        assert_eq!(SegmentName::parse(text).unwrap().to_string(), *text);
    }
    assert_eq!(SegmentName::parse("spare.tmp"), None);
}

#[test]
fn a_frame_belongs_to_one_journal_and_one_sequence() {
    let sum = |payload: &[u8], sequence, journal| FrameSum::of(payload).finish(sequence, JournalId(journal));
    let one = sum(b"click", 7, 1);
    assert_eq!(one, sum(b"click", 7, 1));
    assert_ne!(one, sum(b"click", 8, 1));
    assert_ne!(one, sum(b"click", 7, 2));
    assert_ne!(one, sum(b"clack", 7, 1));
}

#[test]
fn a_frame_takes_what_is_said() {
    for length in 0..40 {
        let payload = vec![1; length];
        let mut bytes = Vec::new();
        push_frame(&mut bytes, &payload, FrameSum::of(&payload), 3, JournalId(1));
        assert_eq!(bytes.len(), stored_len(length));
        assert_eq!(frame_len(&bytes), Some(bytes.len()));
    }
    assert_eq!(frame_len(&[0; super::frame::FRAME_OVERHEAD - 1]), None);
}

#[test]
fn a_header_survives_the_loss_of_either_copy() {
    let header = Header {
        journal: JournalId(9),
        ordinal: 4,
        first: 100,
        sealed_at: 90,
        epoch: 2,
        created_at: Timestamp(5),
    };
    let directory = tempfile::tempdir().unwrap();
    let disk = crate::disk::RealDisk::exclusive(directory.path()).unwrap();
    let read = |damaged: &[usize]| {
        use crate::disk::{Disk as _, remove_if_there};
        let mut block = header.to_block();
        assert_eq!(block.len(), HEADER_BYTES);
        for at in damaged {
            block[*at] ^= 1;
        }
        remove_if_there(&disk, "h").unwrap();
        let file = disk.create("h").unwrap();
        crate::disk::write_all(&*file, &block, 0).unwrap();
        read_header(&*file).unwrap()
    };
    assert_eq!(read(&[]), ReadHeader::Good(header));
    assert_eq!(read(&[20]), ReadHeader::Good(header));
    assert_eq!(read(&[2048 + 20]), ReadHeader::Good(header));
    assert_eq!(read(&[20, 2048 + 20]), ReadHeader::Bad);
}
