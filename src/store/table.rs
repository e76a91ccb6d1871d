use std::marker::PhantomData;

/// A table: typed outside, bytes inside. A room declares its own: `pub static DOMAINS: Table<String, Domain> = Table::new("domains");`
pub struct Table<K, V> {
    name: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Table<K, V> {
    /// The table of that name. Names are unique in the file.
    pub const fn new(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }

    /// Its name in the file.
    pub fn name(&self) -> &'static str {
        self.name
    }
}
