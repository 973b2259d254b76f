//! Zone files in real directories, beside a node that applies what it is asked to and publishes the result.

mod bench;
mod decisions;
mod held;
mod saves;
mod start;
mod write_back;
