//! Single values: unknown keys, wrong types, bad words; where they are and what they say.

use super::*;

#[test]
fn five_different_mistakes_are_five_problems() {
    let text = r#"
[aws]
regoin = "eu-west-2"
account_id = "1111"
max_in_flight = "many"

[schedule]
scan = "0 2 30 2 *"
timezone = "Europe/Lodnon"

[datasets.demo.landing]
bucket = "demo-landing"
keys = ["dump_%Y%m%d.zip", "dump_%Y%m.zip"]
min_size = "1 banana"

[datasets.demo.calendar]
except.summer = { dates = ["2026-08-10..2026-08-01", "2026-02-30", 2026-08-05], reason = "closed" }

[datasets.demo.load]
poll = "often"
other_name = "stages"
"#;
    println!("{}", complaints(text));
}
