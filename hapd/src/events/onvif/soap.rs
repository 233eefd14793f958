//! Requests to ONVIF services (SOAP 1.2, ONVIF Core Specification §9, WS-BaseNotification).

use quick_xml::escape::escape;

use super::xml::Element;

const ENVELOPE: &str = "http://www.w3.org/2003/05/soap-envelope";
const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";

/// How long a subscription lives without renewal.
pub(super) const LIFETIME_SECONDS: u64 = 120;
/// How long the camera may wait for something to tell.
pub(super) const PULL_SECONDS: u64 = 20;
/// Messages of one answer.
const MESSAGES: u32 = 100;

/// What is asked of a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    GetSystemDateAndTime,
    /// Where the event service is.
    GetCapabilities,
    CreatePullPointSubscription,
    PullMessages,
    Renew,
    Unsubscribe,
}

impl Operation {
    /// The action of the operation's WSDL.
    pub(super) const fn action(self) -> &'static str {
        match self {
            Self::GetSystemDateAndTime => {
                "http://www.onvif.org/ver10/device/wsdl/GetSystemDateAndTime"
            }
            Self::GetCapabilities => "http://www.onvif.org/ver10/device/wsdl/GetCapabilities",
            Self::CreatePullPointSubscription => {
                "http://www.onvif.org/ver10/events/wsdl/EventPortType/CreatePullPointSubscriptionRequest"
            }
            Self::PullMessages => {
                "http://www.onvif.org/ver10/events/wsdl/PullPointSubscription/PullMessagesRequest"
            }
            Self::Renew => "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/RenewRequest",
            Self::Unsubscribe => {
                "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/UnsubscribeRequest"
            }
        }
    }

    fn body(self) -> String {
        const DEVICE: &str = "xmlns=\"http://www.onvif.org/ver10/device/wsdl\"";
        const EVENTS: &str = "xmlns=\"http://www.onvif.org/ver10/events/wsdl\"";
        const NOTIFICATION: &str = "xmlns=\"http://docs.oasis-open.org/wsn/b-2\"";
        match self {
            Self::GetSystemDateAndTime => format!("<GetSystemDateAndTime {DEVICE}/>"),
            Self::GetCapabilities => {
                format!("<GetCapabilities {DEVICE}><Category>Events</Category></GetCapabilities>")
            }
            Self::CreatePullPointSubscription => format!(
                "<CreatePullPointSubscription {EVENTS}><InitialTerminationTime>PT{LIFETIME_SECONDS}S\
                 </InitialTerminationTime></CreatePullPointSubscription>"
            ),
            Self::PullMessages => format!(
                "<PullMessages {EVENTS}><Timeout>PT{PULL_SECONDS}S</Timeout>\
                 <MessageLimit>{MESSAGES}</MessageLimit></PullMessages>"
            ),
            Self::Renew => format!(
                "<Renew {NOTIFICATION}><TerminationTime>PT{LIFETIME_SECONDS}S</TerminationTime></Renew>"
            ),
            Self::Unsubscribe => format!("<Unsubscribe {NOTIFICATION}/>"),
        }
    }
}

/// The whole request. `to` is the URL as the camera told it; `reference` are the parameters by which it knows the
/// subscription (WS-Addressing 1.0 §3.3); `security` is the header that tells who asks.
pub(super) fn envelope(
    operation: Operation,
    to: &str,
    reference: &[Element],
    security: Option<&str>,
) -> String {
    let reference: String = reference.iter().map(parameter).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<s:Envelope xmlns:s=\"{ENVELOPE}\" xmlns:a=\"{ADDRESSING}\">\
         <s:Header><a:Action s:mustUnderstand=\"1\">{}</a:Action><a:To s:mustUnderstand=\"1\">{}</a:To>{reference}{}</s:Header>\
         <s:Body>{}</s:Body></s:Envelope>",
        operation.action(),
        escape(to),
        security.unwrap_or_default(),
        operation.body(),
    )
}

/// One reference parameter as a header. Cameras put an identifier into it; deeper ones were not seen.
fn parameter(element: &Element) -> String {
    let namespace = element.namespace.as_deref().unwrap_or_default();
    let attributes = element
        .attributes
        .iter()
        .filter(|(name, _)| name.as_str() != "IsReferenceParameter");
    let attributes: String = attributes
        .map(|(n, v)| format!(" {n}=\"{}\"", escape(v)))
        .collect();
    format!(
        "<{0} xmlns=\"{1}\"{attributes} a:IsReferenceParameter=\"true\">{2}</{0}>",
        element.name,
        escape(namespace),
        escape(element.trimmed())
    )
}

/// A refusal (SOAP 1.2 Part 1 §5.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// All codes and the reason, for people.
    pub(super) text: String,
    /// It is about who asks.
    pub(super) not_authorized: bool,
}

/// Most characters of a camera's own words that get into the log.
const MAX_WORDS: usize = 160;

/// The content of the body, or the refusal in it.
///
/// # Errors
/// `None` where there is no SOAP body.
pub(super) fn body(envelope: &Element) -> Result<&Element, Option<Fault>> {
    let body = envelope
        .child("Body")
        .filter(|_| envelope.name == "Envelope")
        .ok_or(None)?;
    match body.child("Fault") {
        Some(fault) => Err(Some(Fault::read(fault))),
        None => Ok(body),
    }
}

impl Fault {
    fn read(fault: &Element) -> Self {
        let mut words = Vec::new();
        gather(fault, &mut words);
        let text: String = words
            .join(" ")
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_WORDS)
            .collect();
        let says = |word: &str| words.iter().any(|w| w.to_ascii_lowercase().contains(word));
        Self {
            // ONVIF Core Specification §5.11.2.2; the second is WS-Security's own.
            not_authorized: says("notauthorized")
                || says("failedauthentication")
                || says("not authorized"),
            text,
        }
    }
}

fn gather<'e>(element: &'e Element, words: &mut Vec<&'e str>) {
    if !element.trimmed().is_empty() {
        words.push(element.trimmed());
    }
    element
        .children
        .iter()
        .for_each(|child| gather(child, words));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_well_formed_and_carry_the_reference() {
        let reference = Element {
            namespace: Some("http://www.axis.com/2009/event".into()),
            name: "SubscriptionId".into(),
            text: " 4<3 ".into(),
            ..Element::default()
        };
        let to = "http://192.0.2.7/onvif/services?a=1&b=2";
        let xml = envelope(Operation::Renew, to, &[reference], Some("<x/>"));
        let read = Element::parse(xml.as_bytes()).expect("it is well-formed");
        let header = read.child("Header").expect("it is there");
        assert_eq!(header.child("To").map(Element::trimmed), Some(to));
        let id = header.child("SubscriptionId").expect("it is there");
        assert_eq!(
            (id.trimmed(), id.attribute("IsReferenceParameter")),
            ("4<3", Some("true"))
        );
        assert_eq!(
            id.namespace.as_deref(),
            Some("http://www.axis.com/2009/event")
        );
        assert!(header.child("x").is_some());
        let time = read
            .at(&["Body", "Renew", "TerminationTime"])
            .map(Element::trimmed);
        assert_eq!(time, Some("PT120S"));
    }

    #[test]
    fn every_operation_is_well_formed() {
        use Operation::*;
        for operation in [
            GetSystemDateAndTime,
            GetCapabilities,
            CreatePullPointSubscription,
            PullMessages,
            Renew,
            Unsubscribe,
        ] {
            let xml = envelope(operation, "http://h/", &[], None);
            let read = Element::parse(xml.as_bytes()).expect("it is well-formed");
            let body = read.child("Body").expect("it is there");
            assert!(
                body.children[0].namespace.is_some() && body.children.len() == 1,
                "{xml}"
            );
        }
    }

    #[test]
    fn faults_tell_whether_it_is_the_password() {
        let fault = |code: &str| {
            let xml = format!(
                "<E:Envelope xmlns:E='{ENVELOPE}'><E:Body><E:Fault><E:Code><E:Value>E:Sender</E:Value><E:Subcode>\
                 <E:Value>{code}</E:Value></E:Subcode></E:Code><E:Reason><E:Text>no\n{}</E:Text></E:Reason></E:Fault></E:Body></E:Envelope>",
                "x".repeat(500)
            );
            let read = Element::parse(xml.as_bytes()).expect("it is well-formed");
            body(&read)
                .expect_err("it is a fault")
                .expect("it is a fault")
        };
        assert!(fault("ter:NotAuthorized").not_authorized);
        assert!(fault("wsse:FailedAuthentication").not_authorized);
        let other = fault("ter:ActionNotSupported");
        assert!(!other.not_authorized && other.text.contains("ActionNotSupported"));
        assert_eq!(other.text.chars().count(), MAX_WORDS);
        assert!(!other.text.contains('\n'));
    }

    #[test]
    fn what_is_no_soap() {
        for xml in ["<html><Body/></html>", "<Envelope/>"] {
            let read = Element::parse(xml.as_bytes()).expect("it is well-formed");
            assert_eq!(body(&read), Err(None), "{xml}");
        }
    }
}
