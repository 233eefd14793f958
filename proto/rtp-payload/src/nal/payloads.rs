use std::ops::Range;

use super::FragmentHeader;

/// One access unit, cut into payloads.
#[derive(Debug, Clone)]
pub struct AccessUnit<'a> {
    pub(super) key: bool,
    pub(super) payloads: Payloads<'a>,
}

impl<'a> AccessUnit<'a> {
    /// Whether a decoder can start here.
    pub fn is_key(&self) -> bool {
        self.key
    }

    /// The payloads in sending order, at least one.
    pub fn payloads(&self) -> Payloads<'a> {
        self.payloads.clone()
    }
}

/// Iterator over the payloads of an access unit.
#[derive(Debug, Clone)]
pub struct Payloads<'a> {
    pub(super) payload_limit: usize,
    /// Length of the header of a NAL unit.
    pub(super) header_len: usize,
    pub(super) fragment_header: fn(&[u8], bool, bool) -> FragmentHeader,
    /// Parameter sets that go first.
    pub(super) aggregate: Option<&'a Vec<u8>>,
    pub(super) data: &'a [u8],
    /// NAL units still to be sent.
    pub(super) nals: &'a [Range<usize>],
    /// Bytes of the first of them that went out in fragments, its header included.
    pub(super) fragmented: usize,
}

/// One RTP payload: up to three bytes of its own, then bytes of the access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload<'a> {
    /// Last payload of the access unit: the marker bit of the RTP header.
    pub marker: bool,
    fragment_header: FragmentHeader,
    body: &'a [u8],
}

impl Payload<'_> {
    /// Length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a payload is never empty")]
    pub fn len(&self) -> usize {
        self.fragment_header.as_bytes().len() + self.body.len()
    }

    /// Appends the payload to `out`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.fragment_header.as_bytes());
        out.extend_from_slice(self.body);
    }
}

impl<'a> Iterator for Payloads<'a> {
    type Item = Payload<'a>;

    fn next(&mut self) -> Option<Payload<'a>> {
        if let Some(aggregate) = self.aggregate.take() {
            return Some(Payload {
                marker: false,
                fragment_header: FragmentHeader::default(),
                body: aggregate,
            });
        }
        let (nal, later) = self.nals.split_first()?;
        let nal = &self.data[nal.clone()];
        if nal.len() > self.payload_limit {
            return Some(self.fragment(nal, later));
        }
        self.nals = later;
        Some(Payload {
            marker: later.is_empty(),
            fragment_header: FragmentHeader::default(),
            body: nal,
        })
    }
}

impl<'a> Payloads<'a> {
    /// The next fragment of a NAL unit that is too large. Its header stands in place of that of the
    /// NAL unit, and is one byte longer.
    fn fragment(&mut self, nal: &'a [u8], later: &'a [Range<usize>]) -> Payload<'a> {
        let begin = self.fragmented.max(self.header_len);
        let end = nal
            .len()
            .min(begin + self.payload_limit - self.header_len - 1);
        let (first, last) = (begin == self.header_len, end == nal.len());
        if last {
            self.nals = later;
        }
        self.fragmented = if last { 0 } else { end };
        Payload {
            marker: last && later.is_empty(),
            fragment_header: (self.fragment_header)(nal, first, last),
            body: &nal[begin..end],
        }
    }
}
