//! What holds for every input: round trips, pieces that make no difference, and no panic.

#[cfg(test)]
mod made;
#[cfg(test)]
mod octets;
#[cfg(test)]
mod values;
