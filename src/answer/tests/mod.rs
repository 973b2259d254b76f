//! Tests of `answer` as a whole. Responses are read by another implementation (hickory-proto), so that what is written
//! here is not only understood here.

mod basis;
mod cookies;
mod denial;
mod edns;
mod fixture;
mod header;
mod lookup;
mod robustness;
mod transfers;
mod truncation;
