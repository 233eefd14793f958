use crate::{Error, MAX_SOURCES};

/// State per SSRC, bounded, without an allocation after construction.
#[derive(Debug)]
pub(crate) struct Sources<T> {
    entries: Vec<(u32, T)>,
}

impl<T: Default> Sources<T> {
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::with_capacity(MAX_SOURCES),
        }
    }

    pub(crate) fn find(&self, ssrc: u32) -> Option<&T> {
        let entry = self.entries.iter().find(|(known, _)| *known == ssrc);
        entry.map(|(_, state)| state)
    }

    /// State of `ssrc`, new if it was not known.
    pub(crate) fn entry(&mut self, ssrc: u32) -> Result<&mut T, Error> {
        let known = self.entries.iter().position(|(known, _)| *known == ssrc);
        let at = match known {
            Some(at) => at,
            None => self.add(ssrc)?,
        };
        Ok(&mut self.entries[at].1)
    }

    fn add(&mut self, ssrc: u32) -> Result<usize, Error> {
        if self.entries.len() == MAX_SOURCES {
            return Err(Error::TooManySources { limit: MAX_SOURCES });
        }
        self.entries.push((ssrc, T::default()));
        Ok(self.entries.len() - 1)
    }
}
