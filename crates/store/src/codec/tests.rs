use proptest::prelude::*;

use super::*;

fn arbitrary_source() -> impl Strategy<Value = Source> {
    let path = prop_oneof![Just("/"), Just("/a/b")].prop_map(StreamPath::from_checked);
    ("[a-z]{1,128}", any::<[u8; 32]>(), path, 1..=Offset::MAX.get(), any::<u32>()).prop_map(|(slug, digest, stream_path, offset, depth)| {
        Source {
            slug: Slug::from_checked(&slug),
            digest: Digest::from_bytes(digest),
            stream_path,
            offset: Offset::new(offset).unwrap(),
            depth,
        }
    })
}

/// Texts here are any texts: the codec passes them on and does not judge them.
fn arbitrary_events() -> impl Strategy<Value = Vec<Event>> {
    let text = prop_oneof![Just(String::new()), any::<String>(), "[a-z]{130}"];
    let object = text.clone().prop_map(|text| JsonObject::from_checked(&text));
    let key = text.clone().prop_map(|text| IdempotencyKey::from_checked(&text));
    let event = (text, object.clone(), proptest::option::of(object), proptest::option::of(key), proptest::option::of(arbitrary_source()));
    let event = event.prop_map(|(event_type, payload, metadata, idempotency_key, source)| Event {
        stream_path: StreamPath::root(),
        offset: Offset::FIRST,
        event_type: EventType::from_checked(&event_type),
        payload,
        metadata,
        idempotency_key,
        created_at: Timestamp::from_millis(0),
        source,
    });
    (prop::collection::vec(event, 1..6), 1_u64..1 << 60, any::<u64>()).prop_map(|(mut events, first, millis)| {
        for (event, offset) in events.iter_mut().zip(first..) {
            event.offset = Offset::new(offset).unwrap();
            event.created_at = Timestamp::from_millis(millis);
        }
        events
    })
}

fn encode_run(events: &[Event], position: Position) -> Vec<u8> {
    let mut run = RunBuilder::new(events[0].offset, position, events[0].created_at);
    for event in events {
        run.push(event);
    }
    run.finish()
}

fn decode_run(run: &[u8], first: Offset) -> Result<(RunHeader, Vec<Event>), Malformed> {
    let header = RunHeader::decode(run)?;
    let (mut events, mut at, mut recent_type) = (Vec::new(), RunHeader::BYTES, None);
    for nth in 0..header.count {
        let (bytes, next) = EventBytes::find(run, at)?;
        events.push(bytes.decode(&StreamPath::root(), first.plus(u64::from(nth)), header.created_at, &mut recent_type)?);
        at = next;
    }
    Ok((header, events))
}

fn arbitrary_commit() -> impl Strategy<Value = CommitRow> {
    let segment = (any::<u64>(), 1..1_u64 << 62, 1..1_u64 << 62);
    let segment = segment.prop_map(|(stream, first, count)| Segment { stream, first: Offset::new(first).unwrap(), count });
    (any::<u64>(), prop::collection::vec(segment, 0..5))
        .prop_map(|(millis, segments)| CommitRow { created_at: Timestamp::from_millis(millis), segments })
}

proptest! {
    #[test]
    fn runs_round_trip(events in arbitrary_events(), position in 1..=Offset::MAX.get()) {
        let position = Position::new(position).unwrap();
        let (header, decoded) = decode_run(&encode_run(&events, position), events[0].offset).unwrap();
        prop_assert_eq!((header.position, header.count as usize), (position, events.len()));
        prop_assert_eq!(decoded, events);
    }

    #[test]
    fn a_run_cut_short_or_altered_is_an_error_or_other_events_and_no_panic(
        events in arbitrary_events(), cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut run = encode_run(&events, Position::FIRST);
        prop_assert!(decode_run(&run[..cut.index(run.len())], Offset::FIRST).is_err());
        let at = at.index(run.len());
        run[at] = byte;
        // A count of billions would be walked until the bytes end, which is at once.
        let _events_or_error = decode_run(&run, Offset::FIRST);
    }

    #[test]
    fn commit_rows_round_trip(row in arbitrary_commit()) {
        prop_assert_eq!(CommitRow::decode(&row.encode()).unwrap(), row);
    }

    #[test]
    fn stream_rows_round_trip(id in any::<u64>(), millis in any::<u64>()) {
        let row = StreamRow { id, created_at: Timestamp::from_millis(millis) };
        prop_assert_eq!(StreamRow::decode(&row.encode()).unwrap(), row);
    }

    #[test]
    fn cursor_rows_round_trip(offset in 1..=Offset::MAX.get(), numbers in any::<[u64; 3]>(), digest in any::<[u8; 32]>()) {
        let row = CursorRow {
            configured_offset: Offset::new(offset).unwrap(),
            reduced: numbers[0],
            acknowledged: numbers[1],
            revision: numbers[2],
            state_digest: Digest::from_bytes(digest),
        };
        prop_assert_eq!(CursorRow::decode(&row.encode()).unwrap(), row);
    }

    #[test]
    fn varints_round_trip_and_take_at_most_ten_bytes(value in any::<u64>(), shift in 0..64_u32) {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, value >> shift);
        prop_assert!(bytes.len() <= 10);
        let mut input = Input(&bytes);
        prop_assert_eq!(input.varint(), Ok(value >> shift));
        prop_assert_eq!(input.end(), Ok(()));
    }

    #[test]
    fn no_bytes_make_a_codec_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _run = decode_run(&bytes, Offset::FIRST);
        let _source = decode_source(&bytes);
        if let Ok(row) = CommitRow::decode(&bytes) {
            let _count = row.count();
        }
        let _stream = StreamRow::decode(&bytes);
        let _cursor = CursorRow::decode(&bytes);
        let _control = decode_control(&bytes);
        let _path = decode_path(&bytes);
        let _state = decode_state(&bytes);
        let _number = decode_number(&bytes);
    }
}

#[test]
fn each_record_names_what_is_wrong_with_it() {
    assert_eq!(RunHeader::decode(&[1; 19]).unwrap_err(), Malformed("too short"));
    assert_eq!(RunHeader::decode(&[0; 20]).unwrap_err(), Malformed("a position out of range"));
    assert_eq!(EventBytes::find(&[0x80, 0, 0], 0).err(), Some(Malformed("unknown flags of an event")));
    assert_eq!(EventBytes::find(&[0, 5, 0, b'a'], 0).err(), Some(Malformed("shorter than announced")));
    assert_eq!(CommitRow::decode(&[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1]).unwrap_err(), Malformed("an offset out of range"));
    assert_eq!(CommitRow::decode(&[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0]).unwrap_err(), Malformed("events out of range"));
    assert_eq!(StreamRow::decode(&[0; 17]).unwrap_err(), Malformed("longer than it should be"));
    assert_eq!(CursorRow::decode(&[0; 64]).unwrap_err(), Malformed("an offset out of range"));
    assert_eq!(decode_control(b"{").unwrap_err(), Malformed("not the control state of a stream"));
    assert_eq!(decode_path(b"//").unwrap_err(), Malformed("not a stream path"));
    assert_eq!(decode_state(&[0xff]).unwrap_err(), Malformed("not UTF-8"));
    assert_eq!(Input(&[0xff; 11]).varint().unwrap_err(), Malformed("number out of range"));
}
