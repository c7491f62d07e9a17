//! One model of the pipeline and its hazards, with two doors: `Platform` and the AWS wire protocols.
