//! What the adapters really send, and what they make of answers that no emulator gives.

mod damage;
mod objects;
mod pipeline;
mod tasks;
mod traffic;
