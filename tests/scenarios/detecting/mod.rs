//! Finding out what each date is, and saying so truly: tables, dumps, flags, and looks that
//! could not see. What is found is never acted on here, unless a date may be healed.

mod blindness;
mod calls;
mod dumps;
mod flags;
mod locations;
mod spelling;
mod statuses;
mod tables;
mod unreadable;

/// The tables of the model's raw zones.
const TABLES: [&str; 7] = [
    "liberator_hub",
    "liberator_pcn",
    "liberator_permit",
    "liberator_suspension",
    "liberator_visitor_voucher",
    "liberator_fpn_notice",
    "liberator_fpn_payment",
];
