//! Lives here: the eight networks and how to write a valid number on each.
//! Never here: routing, or the numbering plan the daemon loads.

/// A mobile network that the simulators stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The id used in the daemon's configuration, such as `vodacom_tz`.
    pub id: &'static str,
    /// ISO 3166 country of the network: `TZ` or `NG`.
    pub country: &'static str,
    /// Country code and operator digits, without the plus: `25575`, `234803`.
    pub prefix: &'static str,
    /// Digits that follow `prefix` in a complete number: always 7 for these networks.
    pub subscriber_digits: usize,
}

/// All eight networks, the four Tanzanian ones first.
pub const NETWORKS: [Network; 8] = [
    network("vodacom_tz", "TZ", "25575"),
    network("tigo_tz", "TZ", "25571"),
    network("airtel_tz", "TZ", "25568"),
    network("halotel_tz", "TZ", "25562"),
    network("mtn_ng", "NG", "234803"),
    network("glo_ng", "NG", "234805"),
    network("airtel_ng", "NG", "234802"),
    network("ninemobile_ng", "NG", "234809"),
];

impl Network {
    /// A valid international number of this network, with the plus. `index` is taken modulo 10,000,000.
    pub fn number(&self, index: u64) -> String {
        let width = self.subscriber_digits;
        let subscriber = index % 10u64.pow(u32::try_from(width).unwrap_or(7));
        format!("+{}{subscriber:0width$}", self.prefix)
    }
}

/// The network with this configuration id.
pub fn by_id(id: &str) -> Option<&'static Network> {
    NETWORKS.iter().find(|network| network.id == id)
}

const fn network(id: &'static str, country: &'static str, prefix: &'static str) -> Network {
    Network {
        id,
        country,
        prefix,
        subscriber_digits: 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_the_national_length_of_its_country() {
        for network in NETWORKS {
            let number = network.number(1_234_567_890);
            let expected = if network.country == "TZ" {
                1 + 3 + 9
            } else {
                1 + 3 + 10
            };
            assert_eq!(number.len(), expected, "{}: {number}", network.id);
            assert!(number.ends_with("4567890"));
        }
    }

    #[test]
    fn a_network_is_found_by_its_id_and_an_unknown_id_is_not() {
        assert_eq!(by_id("glo_ng").map(|n| n.prefix), Some("234805"));
        assert_eq!(by_id("nowhere"), None);
    }
}
