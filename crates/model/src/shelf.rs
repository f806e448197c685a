//! A map that costs nothing to clone and knows how large it is.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Index;
use std::sync::Arc;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// What a stream knows of one kind of things, by key. Clones share everything, until one of them changes, and then all that it does not change.
#[derive(Debug, Clone)]
pub struct Shelf<K, V> {
    entries: Arc<BTreeMap<K, Entry<V>>>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: Arc<V>,
    /// Key and value written down, so that taking it away takes as much away as it brought.
    bytes: usize,
}

impl<K: Ord, V> Shelf<K, V> {
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &*entry.value)
    }

    /// In the order of the keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, entry)| (key, &*entry.value))
    }

    pub fn keys(&self) -> impl ExactSizeIterator<Item = &K> {
        self.entries.keys()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes that it takes as JSON. Known, not counted.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl<K: Ord + Clone + Serialize, V: Clone + PartialEq + Serialize> Shelf<K, V> {
    /// Whether that changes anything.
    pub(crate) fn insert(&mut self, key: K, value: V) -> bool {
        if self.get(&key) == Some(&value) {
            return false;
        }
        let bytes = written_bytes(&key) + written_bytes(&value);
        let before = Arc::make_mut(&mut self.entries).insert(key, Entry { value: Arc::new(value), bytes });
        self.bytes = self.bytes + bytes - before.map_or(0, |entry| entry.bytes);
        true
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, key: &K) -> bool {
        if !self.entries.contains_key(key) {
            return false;
        }
        let removed = Arc::make_mut(&mut self.entries).remove(key);
        self.bytes -= removed.map_or(0, |entry| entry.bytes);
        true
    }

    /// Changes what is there. Whether it is.
    pub(crate) fn change(&mut self, key: &K, change: impl FnOnce(&mut V)) -> bool {
        if !self.entries.contains_key(key) {
            return false;
        }
        if let Some(entry) = Arc::make_mut(&mut self.entries).get_mut(key) {
            change(Arc::make_mut(&mut entry.value));
            let bytes = written_bytes(key) + written_bytes(&*entry.value);
            self.bytes = self.bytes + bytes - entry.bytes;
            entry.bytes = bytes;
        }
        true
    }
}

/// Nothing of it is kept: the text of a large value would be one more copy of it.
fn written_bytes(value: &impl Serialize) -> usize {
    struct Count(usize);

    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let mut count = Count(0);
    // The model's own types have string keys and no failing serialisers; of one that failed, what came before would count.
    serde_json::to_writer(&mut count, value).ok();
    count.0
}

impl<V> Clone for Entry<V> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), bytes: self.bytes }
    }
}

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Self { entries: Arc::new(BTreeMap::new()), bytes: 0 }
    }
}

impl<K: Ord, V> Index<&K> for Shelf<K, V> {
    type Output = V;

    /// # Panics
    /// Where it is not there, as those of the standard library.
    fn index(&self, key: &K) -> &V {
        &self.entries[key].value
    }
}

impl<K: Eq, V: Eq> PartialEq for Shelf<K, V> {
    /// At once where the two share what they hold.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.entries, &other.entries) || self.entries == other.entries
    }
}

impl<K: Eq, V: Eq> Eq for Shelf<K, V> {}

impl<V: Eq> PartialEq for Entry<V> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.value, &other.value) || self.value == other.value
    }
}

impl<V: Eq> Eq for Entry<V> {}

impl<K: Serialize, V: Serialize> Serialize for Shelf<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.entries.len()))?;
        for (key, entry) in &*self.entries {
            map.serialize_entry(key, &entry.value)?;
        }
        map.end()
    }
}

impl<'de, K: Deserialize<'de> + Ord + Serialize, V: Deserialize<'de>> Deserialize<'de> for Shelf<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<K, V>(PhantomData<(K, V)>);

        impl<'de, K: Deserialize<'de> + Ord + Serialize, V: Deserialize<'de>> Visitor<'de> for Members<K, V> {
            type Value = Shelf<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut entries, mut total) = (BTreeMap::new(), 0);
                // The text says how long it is.
                while let Some((key, text)) = map.next_entry::<K, &RawValue>()? {
                    let value = Arc::new(serde_json::from_str(text.get()).map_err(A::Error::custom)?);
                    let bytes = written_bytes(&key) + text.get().len();
                    total += bytes;
                    entries.insert(key, Entry { value, bytes });
                }
                Ok(Shelf { entries: Arc::new(entries), bytes: total })
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Texts = Shelf<String, String>;

    fn shelf(entries: &[(&str, &str)]) -> Texts {
        let mut shelf = Texts::default();
        for (key, value) in entries {
            shelf.insert((*key).to_owned(), (*value).to_owned());
        }
        shelf
    }

    #[test]
    fn a_clone_shares_what_neither_changes() {
        let before = shelf(&[("a", "1"), ("b", "2")]);
        let mut after = before.clone();
        assert!(!after.insert("a".into(), "1".into()) && !after.remove(&"c".into()) && !after.change(&"c".into(), String::clear));
        assert!(Arc::ptr_eq(&before.entries, &after.entries));
        assert!(after.change(&"a".into(), |value| value.push('1')));
        assert!(std::ptr::eq(&before[&"b".into()], &after[&"b".into()]));
        assert_eq!((&*before[&"a".into()], &*after[&"a".into()]), ("1", "11"));
        assert!(before != after && before == shelf(&[("b", "2"), ("a", "1")]));
    }

    proptest! {
        #[test]
        fn its_size_is_that_of_what_is_written_down(steps in prop::collection::vec((0..4, "[a-c]", ".{0,9}"), 0..20)) {
            let mut shelf = Texts::default();
            for (kind, key, value) in steps {
                match kind {
                    0 => shelf.remove(&key),
                    1 => shelf.change(&key, |kept| kept.push_str(&value)),
                    _ => shelf.insert(key, value),
                };
                // Besides keys and values there are braces, and a colon and a comma an entry.
                let text = serde_json::to_string(&shelf).unwrap();
                prop_assert_eq!(text.len(), 2 + shelf.bytes() + (2 * shelf.len()).saturating_sub(1));
                let read: Texts = serde_json::from_str(&text).unwrap();
                prop_assert_eq!((read.bytes(), &read), (shelf.bytes(), &shelf));
            }
        }
    }
}
