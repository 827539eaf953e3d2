//! The functions that a composed sibling calls: `cinema:bookings/ledger` of
//! `contract/wit/services.wit`.

use contract::bookings::ledger::{Booked, Guest};
use service_kit::call::answer;
use service_kit::{CallError, Context};

use super::bookings_of;

struct Service;

impl Guest for Service {
    async fn bookings_of(context: Context, username: String) -> Result<Vec<Booked>, CallError> {
        let bookings = async {
            let dates = bookings_of(&username).await?.unwrap_or_default();
            Ok(dates.into_iter().map(|(date, movies)| Booked { date, movies }).collect())
        };
        answer(&context, env!("CARGO_PKG_NAME"), "bookings-of", bookings).await
    }
}

contract::bookings::export!(Service);
