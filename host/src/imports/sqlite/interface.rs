//! The databases of components: `spin:sqlite@3.1.0`, as far as spin-sdk 7 imports
//! it. There is one database, with the label `default`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use wasmtime::StoreContextMut;
use wasmtime::component::{
    Accessor, ComponentType, Destination, FutureReader, Lift, Linker, Lower, Resource,
    ResourceTable, ResourceType, StreamProducer, StreamReader, StreamResult, VecBuffer,
};

use crate::bounds::memory::{Kept, Memory};
use crate::imports::component::Component;
use crate::imports::sqlite::connection::{Connection, Shared};
use crate::imports::sqlite::database::Grant;
use crate::imports::sqlite::statement::Outcome;
use crate::imports::sqlite::values::{Row, Value};
use crate::manifest::DATABASE;

/// The name of the interface.
pub const INTERFACE: &str = "spin:sqlite/sqlite@3.1.0";

/// The most connections that an instance can have open at the same time, as in Spin.
const MAX_CONNECTIONS: usize = 256;

/// How much of its rows a component is given at once, in bytes.
const MAX_GIVEN: usize = 64 * 1024;

/// What an instance has of its component's databases.
pub struct Databases {
    component: Arc<Component>,
    memory: Memory,
    connections: ResourceTable,
}

impl Databases {
    /// None yet of an instance of `component` whose memory is `memory`.
    pub fn new(component: Arc<Component>, memory: Memory) -> Self {
        let mut connections = ResourceTable::new();
        connections.set_max_capacity(MAX_CONNECTIONS);
        Self { component, memory, connections }
    }
}

/// `variant error`
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "no-such-database")]
    NoSuchDatabase,
    #[component(name = "access-denied")]
    AccessDenied,
    #[component(name = "invalid-connection")]
    InvalidConnection,
    #[component(name = "database-full")]
    DatabaseFull,
    #[component(name = "io")]
    Io(String),
}

/// What `execute-async` gives: the names of the columns, the rows, and whether all
/// of it succeeded.
type Executed = (Vec<String>, StreamReader<Row>, FutureReader<Result<(), Error>>);

/// Links the interface into `linker`, as `name`. `databases` gets those of an instance from
/// its store, and `granted` what its component may use.
pub fn add_to_linker<T: Send>(
    linker: &mut Linker<T>,
    name: &str,
    databases: fn(&mut T) -> &mut Databases,
    granted: fn(&Component) -> Option<&Grant>,
) -> wasmtime::Result<()> {
    let mut sqlite = linker.instance(name)?;
    sqlite.resource(
        "connection",
        ResourceType::host::<Connection>(),
        move |mut store: StoreContextMut<'_, T>, index| {
            let connection = Resource::<Connection>::new_own(index);
            databases(store.data_mut()).connections.delete(connection)?;
            Ok(())
        },
    )?;
    sqlite.func_wrap_concurrent(
        "[static]connection.open-async",
        move |accessor, (label,): (String,)| {
            Box::pin(async move { Ok((open(accessor, databases, granted, &label).await,)) })
        },
    )?;
    sqlite.func_wrap_concurrent(
        "[method]connection.execute-async",
        move |accessor, (connection, sql, parameters): (_, String, Vec<Value>)| {
            let connection = get(accessor, databases, &connection);
            Box::pin(async move {
                let outcome = connection?.execute(sql, parameters).await;
                Ok((executed(accessor, outcome)?,))
            })
        },
    )?;
    sqlite.func_wrap_concurrent(
        "[method]connection.last-insert-rowid-async",
        move |accessor, (connection,)| {
            let connection = get(accessor, databases, &connection);
            Box::pin(async move { Ok((connection?.last_insert_rowid().await,)) })
        },
    )?;
    sqlite.func_wrap_concurrent(
        "[method]connection.changes-async",
        move |accessor, (connection,)| {
            let connection = get(accessor, databases, &connection);
            Box::pin(async move { Ok((connection?.changes().await,)) })
        },
    )
}

async fn open<T>(
    accessor: &Accessor<T>,
    databases: fn(&mut T) -> &mut Databases,
    granted: fn(&Component) -> Option<&Grant>,
    label: &str,
) -> Result<Resource<Connection>, Error> {
    let (granted, memory) = accessor.with(|mut store| {
        let databases = databases(store.get());
        (granted(&databases.component).cloned(), databases.memory.clone())
    });
    // The manifest grants no other database, so no label is unknown here.
    let granted = granted.filter(|_| label == DATABASE).ok_or(Error::AccessDenied)?;
    let connection = granted.connect(memory).await.map_err(Error::Io)?;
    let pushed = accessor.with(|mut store| databases(store.get()).connections.push(connection));
    pushed.map_err(|_| Error::Io("too many connections opened".into()))
}

fn get<T>(
    accessor: &Accessor<T>,
    databases: fn(&mut T) -> &mut Databases,
    connection: &Resource<Connection>,
) -> wasmtime::Result<Shared> {
    accessor.with(|mut store| {
        let connection = databases(store.get()).connections.get(connection)?;
        connection.shared().ok_or_else(|| wasmtime::Error::msg("the connection is closed"))
    })
}

/// Passes on what became of a statement. As in Spin, its error comes after its rows.
fn executed<T>(
    accessor: &Accessor<T>,
    outcome: Outcome,
) -> wasmtime::Result<Result<Executed, Error>> {
    let Outcome { columns, rows, kept, error } = outcome;
    let rows = Rows { rows: rows.into_iter(), _kept: kept };
    let result = error.map_or(Ok(()), |error| Err(Error::Io(error)));
    accessor.with(|mut store| {
        let rows = StreamReader::new(&mut store, rows)?;
        let result = FutureReader::new(&mut store, async { wasmtime::error::Ok(result) })?;
        Ok(Ok((columns, rows, result)))
    })
}

/// Rows, whose memory is counted until the component has been given the last of them.
struct Rows {
    rows: vec::IntoIter<Row>,
    _kept: Option<Kept>,
}

impl<T> StreamProducer<T> for Rows {
    type Item = Row;
    type Buffer = VecBuffer<Row>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: StoreContextMut<'a, T>,
        mut destination: Destination<'a, Row, VecBuffer<Row>>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let (mut given, mut size) = (Vec::new(), 0);
        while size < MAX_GIVEN
            && let Some(row) = self.rows.next()
        {
            size += row.size();
            given.push(row);
        }
        destination.set_buffer(given.into());
        Poll::Ready(Ok(if size < MAX_GIVEN {
            StreamResult::Dropped
        } else {
            StreamResult::Completed
        }))
    }
}
