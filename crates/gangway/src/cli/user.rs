//! `gangway user`: whether a SIP user may federate, and why.

use std::path::Path;
use std::process::ExitCode;

use admin::{Reply, Request, User};
use gateway_role::policy::{Access, Whom};

use super::ask::{self, Form};
use super::{UNUSABLE, WRONG, complain};
use crate::config::{self, Configuration};

/// Asks the running process, or else the file.
pub fn run(file: &Path, address: &str, form: Form) -> ExitCode {
    let reading = match config::load(file) {
        Ok(reading) => reading,
        Err(why) => {
            complain(&why);
            return ExitCode::from(UNUSABLE);
        }
    };
    let request = Request::User { address: address.to_owned() };
    let asked = reading.socket().map(|socket| admin::ask(&socket, &request));
    let reply = match asked {
        Some(Ok(reply)) => reply,
        Some(Err(why)) if !why.nobody_is_there() => {
            complain(&why.to_string());
            return ExitCode::from(WRONG);
        }
        None | Some(Err(_)) => match reading.configuration() {
            Some(configuration) => of_file(configuration, address),
            None => {
                complain(&format!("{} has mistakes; see `gangway check`", file.display()));
                return ExitCode::from(WRONG);
            }
        },
    };
    let may = matches!(&reply, Reply::User(user) if user.may_federate);
    let code = ask::show(&reply, form);
    if may { code } else { ExitCode::from(WRONG) }
}

fn of_file(configuration: &Configuration, address: &str) -> Reply {
    let Some(gateway) = &configuration.gateway else {
        return Reply::Refused { reason: "the file has no `[gateway]`, which alone knows SIP users".into() };
    };
    match config::users::policy(&gateway.users) {
        Ok(policy) => answer(address, gateway, &policy, "no process runs: by the file"),
        Err(reason) => Reply::Refused { reason },
    }
}

/// Returns what holds for an address.
pub fn answer(
    address: &str,
    gateway: &config::model::Gateway,
    policy: &gateway_role::policy::Policy,
    source: &str,
) -> Reply {
    let user = match Whom::parse(address) {
        Ok(Whom::Address(user)) => user,
        Ok(Whom::Domain(_)) => {
            return Reply::Refused {
                reason: format!("`{address}` is a domain; ask for a user: bob@{address}"),
            };
        }
        Err(why) => return Reply::Refused { reason: format!("`{address}` is no address of a user: {why}") },
    };
    let is_ours = gateway.domains.iter().any(|ours| *ours.domain.value == *user.domain().as_str());
    let verdict = policy.judge(user.as_jid());
    let why = if is_ours {
        verdict.to_string()
    } else {
        format!("`{}` is no SIP domain that is served here", user.domain().as_str())
    };
    Reply::User(User {
        address: user.as_str().to_owned(),
        may_federate: is_ours && verdict.access == Access::Allowed,
        why,
        source: source.to_owned(),
    })
}

/// Returns the answer for people.
pub fn words(user: &User) -> String {
    format!("{}: {}\n({})\n", user.address, user.why, user.source)
}
