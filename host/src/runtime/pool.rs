//! The instances of a component: when one is made, how many requests it takes, and when it
//! ends.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep};
use wasmtime::component::GuestTaskId;
use wasmtime::{Store, StoreContextMut, Trap};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, Proxy, ProxyHandler, ShouldAccept, WorkerExpiration, WorkerState,
    WorkerStatus,
};
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::imports::component::Component;
use crate::runtime::requests::{Requests, Ticket};
use crate::runtime::store::{State, store};

/// How many requests an instance answers before it is dropped. This and the
/// next two are the defaults of Spin (`crates/trigger-http/src/lib.rs`).
const MAX_REQUESTS: usize = 128;

/// How many of them at the same time.
const MAX_CONCURRENT: usize = 16;

/// How long an instance waits for another request.
const MAX_IDLE: Duration = Duration::from_secs(1);

/// The instances of a component on one shard.
pub type Instances = ProxyHandler<Pool>;

/// Makes them: wasmtime's [`ProxyHandler`] asks for one when all others are busy, and reuses
/// those that are not.
#[derive(Clone)]
pub struct Pool {
    /// The component.
    component: Arc<Component>,
    /// What it was compiled to.
    compiled: ServicePre<State>,
    /// How many memories an instance has: one for each component that it is composed of.
    memories: usize,
}

impl Pool {
    /// Makes instances of `component`.
    pub fn new(component: Component, compiled: ServicePre<State>) -> Self {
        // `None` means that it imports a module, which no component of a trigger does.
        let resources = compiled.instance_pre().component().resources_required();
        let memories = resources.map_or(1, |resources| resources.num_memories as usize);
        Self { component: Arc::new(component), compiled, memories: memories.max(1) }
    }
}

impl HandlerState for Pool {
    type StoreData = State;
    type WorkerExpiration = Expiration;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<State, Expiration, Worker>> {
        let Self { component, compiled, memories } = self;
        let mut store = store(compiled.engine(), component.clone(), *memories)?;
        let proxy = Proxy::P3(compiled.instantiate_async(&mut store).await?);
        let State { paused, requests, .. } = store.data();
        let (paused, requests) = (paused.clone(), requests.clone());
        let state = Worker { component: component.clone(), requests: requests.clone() };
        let after_response = component.limits.after_response;
        let next = Box::pin(sleep(MAX_IDLE));
        let expiration = Expiration { next, after_response, paused, requests };
        Ok(Instance { store, proxy, view: State::http, expiration, state })
    }
}

/// Ends an instance that has been idle for [`MAX_IDLE`], or that goes on for too long after
/// its last response. wasmtime polls it whenever the instance pauses, so it also notes
/// that.
pub struct Expiration {
    /// When to look again.
    next: Pin<Box<Sleep>>,
    after_response: Duration,
    paused: Arc<AtomicBool>,
    requests: Requests,
}

impl WorkerExpiration for Expiration {
    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
        status: WorkerStatus,
        since: Instant,
    ) -> Poll<()> {
        self.paused.store(true, Relaxed);
        let is_idle = status == WorkerStatus::Idle;
        if is_idle {
            self.requests.idle();
            let end = (since + MAX_IDLE).into();
            if self.next.deadline() != end {
                self.next.as_mut().reset(end);
            }
        }
        while self.next.as_mut().poll(context).is_ready() {
            let is_abandoned = status == WorkerStatus::PostReturn
                && self.requests.is_abandoned(self.after_response);
            if is_idle || is_abandoned {
                return Poll::Ready(());
            }
            // wasmtime does not always poll when an instance becomes idle, so
            // look again later.
            self.next.as_mut().reset((Instant::now() + MAX_IDLE).into());
        }
        Poll::Pending
    }
}

/// Decides how many requests an instance takes, and logs why it ended.
pub struct Worker {
    component: Arc<Component>,
    requests: Requests,
}

impl WorkerState for Worker {
    type StoreData = State;
    type RequestData = Arc<Ticket>;

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= MAX_REQUESTS || self.requests.is_late(self.component.limits.after_response) {
            ShouldAccept::Never
        } else if concurrent >= MAX_CONCURRENT {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        mut store: StoreContextMut<'_, State>,
        ticket: Arc<Ticket>,
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        store.data_mut().ticks = 0;
        self.requests.begun(&ticket);
        // wasmtime drops this future when the guest has produced a response. It does
        // not end the guest when the client goes away, so the ticket stays until then.
        Box::pin(async move {
            let _ticket = ticket;
            std::future::pending().await
        })
    }

    fn drop(&self, _: Store<State>, result: wasmtime::Result<()>) {
        // Instances end with their application, too. That is no error.
        let is_loaded = self.component.application.get().is_some_and(|app| app.strong_count() > 0);
        if let Err(error) = result
            && is_loaded
        {
            let most = self.component.limits.after_response;
            let reason = match self.requests.is_abandoned(most) && !error.is::<Trap>() {
                true => format!("a task went on for {most:?} after the last response"),
                false => format!("{error:?}"),
            };
            self.component.log(&format!("the instance ended: {reason}"));
        }
    }
}
