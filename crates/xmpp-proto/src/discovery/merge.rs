use clock_types::Ids;

use super::Start;

/// One SRV record worth following.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Lower is tried first.
    pub priority: u16,
    /// Among equals, the share of first attempts.
    pub weight: u16,
    /// The target, without the final dot.
    pub host: String,
    /// The target's port.
    pub port: u16,
    /// Which of the two services it is of.
    pub start: Start,
    /// Whether DNSSEC vouches for the record.
    pub is_signed: bool,
}

/// Orders the records of both services as if they were one (XEP-0368 §3): by priority, and within one
/// priority by RFC 2782's weighted choice.
#[must_use]
pub fn merge(mut services: Vec<Service>, ids: &mut Ids) -> Vec<Service> {
    // Sorted also by what chance does not decide, so that the order of the answer has no influence.
    // Direct TLS and weight 0 come first (RFC 2782: zero-weight records at the beginning of the list).
    services.sort_by(|a, b| {
        (a.priority, a.weight != 0, a.start, &a.host, a.port).cmp(&(
            b.priority,
            b.weight != 0,
            b.start,
            &b.host,
            b.port,
        ))
    });
    services.truncate(CONSIDERED_MAX);
    let mut ordered = Vec::with_capacity(services.len());
    while let Some(first) = services.first() {
        let priority = first.priority;
        let equals = services.iter().take_while(|service| service.priority == priority);
        let total: u64 = equals.clone().map(|service| u64::from(service.weight)).sum();
        let mark = ids.below(total + 1);
        let mut sum = 0;
        let place = equals
            .map(|service| {
                sum += u64::from(service.weight);
                sum
            })
            .position(|sum| sum >= mark)
            .unwrap_or(0);
        ordered.push(services.remove(place));
    }
    ordered
}

/// A thousand records are somebody's mistake or somebody's attack; the best of them are enough.
const CONSIDERED_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn service(priority: u16, weight: u16, host: &str, start: Start) -> Service {
        Service { priority, weight, host: host.into(), port: 5269, start, is_signed: false }
    }

    #[test]
    fn priority_decides_across_both_services() {
        let services = vec![
            service(20, 0, "b", Start::Direct),
            service(10, 0, "a", Start::InBand),
            service(30, 0, "c", Start::InBand),
        ];

        let ordered = merge(services, &mut Ids::counting());

        assert_eq!(ordered.iter().map(|service| &*service.host).collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn weight_is_the_share_of_first_places() {
        let mut ids = Ids::random([1; 32]);
        let mut first = 0;
        for _ in 0..1000 {
            let services =
                vec![service(1, 90, "heavy", Start::InBand), service(1, 10, "light", Start::InBand)];
            first += u32::from(merge(services, &mut ids)[0].host == "heavy");
        }

        assert!((850..=940).contains(&first), "{first}");
    }

    #[test]
    fn every_record_is_tried_once_and_a_flood_is_cut() {
        let few: Vec<Service> = (0..10).map(|n| service(n % 3, n, &format!("h{n}"), Start::InBand)).collect();
        let many: Vec<Service> = (0..1000).map(|n| service(n, 0, &format!("h{n}"), Start::InBand)).collect();

        let mut hosts: Vec<String> =
            merge(few, &mut Ids::counting()).into_iter().map(|service| service.host).collect();
        hosts.sort();

        assert_eq!(hosts, (0..10).map(|n| format!("h{n}")).collect::<Vec<_>>());
        assert_eq!(merge(many, &mut Ids::counting()).len(), CONSIDERED_MAX);
    }
}
