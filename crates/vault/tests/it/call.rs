//! Calls to ask for.

use callgate_vault::backend::Owner;
use decision::{
    Asked, Call, CallId, Channel, Claims, DeedId, Direction, InteractionId, Item, ItemKind, Permit,
    Principal, SecretName, ServerName, Target, Timestamp, Trail, Transport, User, UserName,
};
use std::sync::Arc;

pub(crate) fn owner() -> Owner {
    Owner { tenant: "acme".parse().unwrap(), environment: "production".parse().unwrap() }
}

pub(crate) fn name() -> SecretName {
    SecretName::new("github").unwrap()
}

/// A call of the gateway in `owner`'s place, on behalf of `user`, and its permit.
pub(crate) fn call_at(owner: Owner, user: Option<&str>, id: u8) -> (Call, Permit) {
    let gateway = Principal::gateway(owner.tenant, owner.environment);
    let user = user.map(|name| User { name: UserName::new(name).unwrap(), groups: Default::default() });
    let call = Call::new(Asked {
        id: CallId::new(Timestamp(1), [id; 10]),
        deed: DeedId::new(Timestamp(1), [id; 10]),
        leg: 0,
        at: Timestamp(1),
        direction: Direction::ToServer,
        interaction: InteractionId::new("test").unwrap(),
        principal: Arc::new(Principal { user, ..gateway }),
        channel: Channel {
            transport: Transport::Internal,
            era: None,
            revision: None,
            server_era: None,
            entrance: "mcp".to_owned(),
        },
        claims: Claims::default(),
        method: "initialize".to_owned(),
        target: Target {
            server: ServerName::new("crm").unwrap(),
            item: Item { kind: ItemKind::Server, name: "crm".to_owned() },
            definition: None,
        },
        frame: bytes::Bytes::from_static(b"{}"),
        arguments: None,
    });
    let permit = Trail::open(call.id(), Timestamp(1)).errand(&call).unwrap();
    (call, permit)
}

pub(crate) fn call(user: Option<&str>) -> (Call, Permit) {
    call_at(owner(), user, 1)
}
