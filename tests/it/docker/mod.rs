//! The composition of containers: what is true of it, and what happens when a part of it goes. Run by `make test-docker`
//! against a stack of its own, one test at a time; each leaves the stack well.

mod backup;
mod beat;
mod confinement;
mod emulator;
mod load;
mod nodes;
mod postgres;
mod redis;
mod restart;
mod secrets;
mod stack;
mod topology;
mod worker;
