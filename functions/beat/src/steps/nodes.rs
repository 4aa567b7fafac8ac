//! Nodes that are there, of which this is one, and nodes that are gone.

use halyard_domain::NodeId;
use halyard_store::nodes;

use crate::{
    Beat,
    report::{Step, StepError},
};

/// Notes that this one lives, unless it was done lately, and forgets those that were not seen for long.
pub async fn sweep(beat: &Beat, step: &mut Step) -> Result<(), StepError> {
    let mut conn = beat.conn().await?;
    if beat.node.beat_due(beat.clock.now()) {
        nodes::heartbeat(&mut conn, &seen(beat), beat.now()).await?;
    }
    let forgotten = nodes::sweep(&mut conn, beat.now()).await?;
    step.add("forgotten", usize::try_from(forgotten).unwrap_or(usize::MAX));
    Ok(())
}

fn seen(beat: &Beat) -> nodes::NodeSeen {
    let (node, usage) = (&beat.node, beat.node.usage());
    nodes::NodeSeen {
        // A host that is more than a beat is another node besides.
        node_id: if node.role.is_some() { node.id.clone() } else { NodeId(format!("{}-beat", node.id)) },
        hostname: node.hostname.clone(),
        role: "beat".to_owned(),
        ip_address: node.ip_address.clone(),
        port: node.role.as_ref().and(node.port).map(i32::from),
        response_time_ms: None,
        cpu_usage: usage.cpu,
        memory_usage: usage.memory,
        requests_per_minute: None,
        error_rate: None,
        capacity: None,
        processed: 0,
    }
}
