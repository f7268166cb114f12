/// Things under numbers that are not used again: a number names its slot and the slot's generation, so
/// that a late use of an old number finds nothing.
#[derive(Debug)]
pub struct Arena<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    content: Option<T>,
}

impl<T> Arena<T> {
    pub const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    pub fn insert(&mut self, content: T) -> u64 {
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.content = Some(content);
            return number(index, slot.generation);
        }
        let index = u32::try_from(self.slots.len()).expect("the owner's limits are far below 2^32");
        self.slots.push(Slot { generation: 0, content: Some(content) });
        number(index, 0)
    }

    pub fn get(&self, number: u64) -> Option<&T> {
        let (index, generation) = parts(number);
        let slot = self.slots.get(index)?;
        if slot.generation == generation { slot.content.as_ref() } else { None }
    }

    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let (index, generation) = parts(number);
        let slot = self.slots.get_mut(index)?;
        if slot.generation == generation { slot.content.as_mut() } else { None }
    }

    pub fn remove(&mut self, number: u64) -> Option<T> {
        let (index, generation) = parts(number);
        let slot = self.slots.get_mut(index)?;
        if slot.generation != generation {
            return None;
        }
        let content = slot.content.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(index as u32);
        Some(content)
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let content = slot.content.as_ref()?;
            Some((number(index as u32, slot.generation), content))
        })
    }
}

fn number(index: u32, generation: u32) -> u64 {
    (u64::from(generation) << 32) | u64::from(index)
}

fn parts(number: u64) -> (usize, u32) {
    ((number & 0xffff_ffff) as usize, (number >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_number_does_not_find_the_slots_new_content() {
        let mut arena = Arena::new();
        let old = arena.insert("old");

        assert_eq!(arena.remove(old), Some("old"));
        let new = arena.insert("new");

        assert_eq!(arena.get(old), None);
        assert_eq!(arena.remove(old), None);
        assert_eq!(arena.get(new), Some(&"new"));
        assert_eq!(arena.iter().count(), 1);
    }
}
