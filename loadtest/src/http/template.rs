//! Lives here: prebuilt request octets into which the next marker and number are patched.
//! Never here: sockets.

use serde::Serialize;

use crate::{
    marker::{self, MARKER_LEN},
    networks::Network,
};

/// What the requests of a run have in common.
#[derive(Clone, Debug)]
pub struct RequestShape {
    /// Value of the Host header.
    pub host: String,
    /// Request target, `/v1/sms/send`.
    pub path: String,
    /// API key, sent as bearer token.
    pub key: String,
    /// `from`.
    pub sender: String,
    /// Text after the marker.
    pub text: String,
    /// `class`, left out when `None`.
    pub class: Option<String>,
    /// `webhook_url`, left out when `None`.
    pub webhook_url: Option<String>,
}

/// A complete request for one network. Patching it costs no allocation.
#[derive(Clone, Debug)]
pub struct Template {
    octets: Vec<u8>,
    subscriber_at: usize,
    subscriber_len: usize,
    marker_at: usize,
}

#[derive(Serialize)]
struct Body<'a> {
    to: String,
    from: &'a str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_url: Option<&'a str>,
}

impl Template {
    /// The request of `shape` for `network`.
    pub fn new(shape: &RequestShape, network: &Network) -> Self {
        let body = serde_json::to_string(&Body {
            to: network.number(0),
            from: &shape.sender,
            message: format!("#000000000 {}", shape.text),
            class: shape.class.as_deref(),
            webhook_url: shape.webhook_url.as_deref(),
        })
        .expect("a struct of strings always serialises");
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            shape.path,
            shape.host,
            shape.key,
            body.len()
        );
        // `to` is the first field and a quote inside a JSON string is escaped, so both searches hit the real field.
        let to_at = head.len() + "{\"to\":\"+".len();
        let message_at = body
            .find("\"message\":\"#")
            .expect("the body was built with this field");
        Self {
            subscriber_at: to_at + network.prefix.len(),
            subscriber_len: network.subscriber_digits,
            marker_at: head.len() + message_at + "\"message\":\"".len(),
            octets: [head.as_bytes(), body.as_bytes()].concat(),
        }
    }

    /// The octets of the request for `marker`, whose lowest digits also make the subscriber number.
    pub fn request(&mut self, index: u64) -> &[u8] {
        let subscriber = self.subscriber_at..self.subscriber_at + self.subscriber_len;
        marker::write_digits(index, &mut self.octets[subscriber]);
        marker::write_marker(
            index,
            &mut self.octets[self.marker_at..self.marker_at + MARKER_LEN],
        );
        &self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::NETWORKS;

    #[test]
    fn a_patched_request_is_valid_json_with_number_and_marker() {
        let shape = RequestShape {
            host: "127.0.0.1:1".into(),
            path: "/v1/sms/send".into(),
            key: "sk_test".into(),
            sender: "A\"message\":\"#".into(),
            text: "Habari \"yako\"".into(),
            class: Some("otp".into()),
            webhook_url: None,
        };
        for network in &NETWORKS {
            let mut template = Template::new(&shape, network);
            template.request(999_999_999);
            let request = String::from_utf8(template.request(12_345_678).to_vec()).unwrap();
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
            let json: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(json["to"], format!("+{}2345678", network.prefix));
            assert_eq!(json["message"], "#012345678 Habari \"yako\"");
            assert_eq!(
                (&json["class"], &json["webhook_url"]),
                (&"otp".into(), &serde_json::Value::Null)
            );
        }
    }
}
