//! Timelines of a session, with T1 = 500 ms and T2 = 4 s.

mod called;
mod calling;
mod inside;
mod interval;
mod world;
