mod gateway;
mod health;
mod nodes;
mod ping;
mod protected;
