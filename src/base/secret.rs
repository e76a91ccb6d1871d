use zeroize::Zeroize;

/// A value that must not be seen: no `Debug`, no `Display`, wiped from memory when dropped.
///
/// The only way to the value is [`Secret::expose`], so that every use can be found by its name.
#[derive(Clone, Default)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes the value in.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Do not log it, do not put it in a reply.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself, to change it in its place.
    pub fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}
