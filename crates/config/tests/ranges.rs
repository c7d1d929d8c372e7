//! Numbers, sizes and times: what each key takes, and what is said of what it does not take.

use dunlin_config::keys::{self, Key};
use dunlin_config::model::{Bridge, Config, DurabilityPolicy, Listener};
use dunlin_config::value::Value;
use dunlin_config::{Loader, Memory};

/// What is said of a value, if it is refused.
fn refusal<T: Default>(key: &Key<T>, value: Value) -> Option<String> {
    key.set(&mut T::default(), value).err()
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// One look at every key there is.
trait Look {
    fn look<T: Default + 'static>(&mut self, key: &'static Key<T>);
}

fn every_key(look: &mut impl Look) {
    keys::general().for_each(|key| look.look::<Config>(key));
    keys::listener().for_each(|key| look.look::<Listener>(key));
    keys::bridge().for_each(|key| look.look::<Bridge>(key));
}

#[derive(Default)]
struct Numbers(usize);

impl Look for Numbers {
    fn look<T: Default + 'static>(&mut self, key: &'static Key<T>) {
        let measure = (key.measure)();
        let Some((least, most)) = measure.bounds else { return };
        self.0 += 1;
        for edge in [least, most] {
            assert_eq!(refusal(key, Value::Number(edge)), None, "{}", key.name);
        }
        let most_written =
            if measure.unit.starts_with("mode") { format!("0o{most:o}") } else { most.to_string() };
        for beyond in [least - 1, most + 1, i64::MIN, i64::MAX] {
            let told = refusal(key, Value::Number(beyond)).expect(key.name);
            let range = format!("{beyond} is not between {least} and {most_written}");
            assert!(
                told.starts_with(&range) && told.ends_with(measure.unit),
                "{}: {told}",
                key.name
            );
        }
    }
}

#[test]
fn a_number_out_of_range_is_answered_with_the_range_of_its_key_and_the_unit() {
    let mut numbers = Numbers::default();
    every_key(&mut numbers);
    assert!(numbers.0 > 20, "{} keys", numbers.0);
}

#[derive(Default)]
struct Sizes(usize);

impl Look for Sizes {
    fn look<T: Default + 'static>(&mut self, key: &'static Key<T>) {
        let (mut as_text, mut as_number) = (T::default(), T::default());
        let bytes = key.set(&mut as_text, text("64 KiB"));
        if !(key.measure)().is_bytes() {
            let is_size = bytes.is_ok() && key.get(&as_text) == Some(Value::Number(65_536));
            assert!(!is_size, "{} counts no bytes", key.name);
            return;
        }
        self.0 += 1;
        bytes.expect(key.name);
        key.set(&mut as_number, Value::Number(65_536)).expect(key.name);
        assert_eq!(key.get(&as_text), key.get(&as_number), "{}", key.name);
        let told = refusal(key, text("2 Mib")).expect(key.name);
        assert!(told.contains("`2 Mib` is no size"), "{}: {told}", key.name);
    }
}

#[test]
fn every_key_in_bytes_takes_a_number_and_a_text_with_a_unit_and_no_other_key_does() {
    let mut sizes = Sizes::default();
    every_key(&mut sizes);
    assert!(sizes.0 > 10, "{} keys", sizes.0);
}

#[derive(Default)]
struct Times(usize);

impl Look for Times {
    fn look<T: Default + 'static>(&mut self, key: &'static Key<T>) {
        let (number, written) = match (key.measure)().unit {
            "time" | "seconds" => (30, ["30 s", "30s", "30", "30000ms"]),
            "milliseconds" => (30_000, ["30 s", "30s", "30000 ms", "30000ms"]),
            _ => return,
        };
        self.0 += 1;
        let mut expected = T::default();
        key.set(&mut expected, Value::Number(number)).expect(key.name);
        for time in written {
            let mut owner = T::default();
            key.set(&mut owner, text(time)).unwrap_or_else(|why| panic!("{}: {why}", key.name));
            assert_eq!(key.get(&owner), key.get(&expected), "{} = {time}", key.name);
        }
        let told = refusal(key, text("soon")).expect(key.name);
        assert!(told.contains("`soon` is no length of time"), "{}: {told}", key.name);
        let told = refusal(key, text("99999999999d")).expect(key.name);
        assert!(told.contains(" is not between "), "{}: {told}", key.name);
        let told = refusal(key, Value::Number(-1)).expect(key.name);
        assert!(told.contains("seconds"), "{}: {told}", key.name);
    }
}

#[test]
fn every_key_that_is_a_time_takes_a_number_and_a_text_with_a_unit() {
    let mut times = Times::default();
    every_key(&mut times);
    assert!(times.0 > 20, "{} keys", times.0);
}

#[test]
fn nothing_is_kept_with_durability_off() {
    let disk = Memory::new([("d.toml", "[persistence]\ndurability = \"off\"\n")]);
    let config = Loader::new(&disk).load(Some("d.toml")).unwrap().config;
    assert_eq!(config.persistence.durability, DurabilityPolicy::Off);
    assert!(!config.persistence.enabled);
}
