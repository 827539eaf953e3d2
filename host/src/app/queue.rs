//! Where a request waits: until fewer others are answered, and then for an instance.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use http::{Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use wasmtime::PoolConcurrencyLimitError;
use wasmtime_wasi_http::handler::InstantiationError;

use crate::body::Body;
use crate::bounds::limits::Limits;
use crate::bounds::shares::NoneLeft;
use crate::runtime::pool::Instances;
use crate::runtime::requests::Ticket;
use crate::telemetry::log::{Log, Notice};

/// How often a request without an instance asks for one again.
const INSTANCE_RETRY: Duration = Duration::from_millis(20);

/// Lets requests wait for as long as the limits say.
pub struct Queue {
    limits: Limits,
    /// A permit for each request from outside that is answered at a time.
    permits: Arc<Semaphore>,
    log: Log,
    refusals: Notice,
}

impl Queue {
    /// A queue within `limits`, which tells `log` that requests have waited for too long.
    pub fn new(limits: Limits, log: Log) -> Self {
        let permits = Arc::new(Semaphore::new(limits.requests.min(Semaphore::MAX_PERMITS)));
        Self { limits, permits, log, refusals: Notice::default() }
    }

    /// The permit of a request from outside, unless others keep all for too long.
    pub async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Some(permit);
        }
        let Limits { requests, request_wait, .. } = self.limits;
        let permit = timeout(request_wait, self.permits.clone().acquire_owned()).await;
        if permit.is_err() {
            self.refusals.write(&self.log, || {
                format!(
                    "{requests} requests are being answered, the limit; others have waited \
                     {request_wait:?} and got a 503"
                )
            });
        }
        permit.ok()?.ok()
    }

    /// Sends `request` to one of `instances`. If there can't be another one, it waits for
    /// others to end: an idle one does so within a second.
    ///
    /// # Errors
    /// [`InstantiationError`], or why there is no response.
    pub async fn instance(
        &self,
        instances: &Instances,
        mut request: Request<Body>,
        permit: OwnedSemaphorePermit,
    ) -> wasmtime::Result<Response<Body>> {
        let end = Instant::now() + self.limits.request_wait;
        let ticket = Ticket::new(permit);
        loop {
            let error = match instances.handle(ticket.clone(), request).await {
                Ok(response) => return Ok(response.map(|body| ticket.keep_until_end(body))),
                Err(error) => error.downcast::<InstantiationError<Arc<Ticket>>>()?,
            };
            let cause = &error.error;
            // A component that fails while it starts would fail again.
            if !cause.is::<NoneLeft>() && !cause.is::<PoolConcurrencyLimitError>() {
                return Err(wasmtime::Error::msg(format!("it can't be started: {cause:#}")));
            }
            if Instant::now() >= end {
                return Err(error.into());
            }
            sleep(INSTANCE_RETRY).await;
            request = error.request.into_inner().unwrap_or_else(PoisonError::into_inner);
        }
    }
}
