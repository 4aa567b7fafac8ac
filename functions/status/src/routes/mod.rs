pub mod api_status;
pub mod health_status;
pub mod nodes;
pub mod ping;
pub mod protected;
pub mod reference;
