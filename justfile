# `just` alone lists these.

default:
    @just --list

# The whole story on this machine, against the embedded AWS: no account, no network
demo *arguments:
    cargo run -- demo {{arguments}}

# Every test; those against moto say that they are skipped, unless `just moto` came first
test *arguments:
    cargo test {{arguments}}

# The tests against moto as well, which is installed under target/
moto:
    GAPMEND_MOTO="$(tests/support/moto.sh)" cargo test --test aws_moto --test ledger_s3

# The built binary against the embedded AWS: kills, faults, signals
end-to-end *arguments:
    cargo test --test end_to_end {{arguments}}

# The simulated year of one seed; when it fails, its history is printed (GAPMEND_HISTORY=all: whole)
sim seed:
    GAPMEND_SEED={{seed}} cargo test --test survives years::a_year

# So many seeds, from one on: optimised, without what speaks to AWS
sims count="10000" from="1":
    tests/survives/sims.sh {{count}} {{from}}

# Every crash point: a death before and after every effect
crash:
    cargo test --test survives crash_points

# Each rule of safety switched off in a copy: which test notices? (all of them, or those named)
reverts *rules:
    tests/survives/reverts/run.sh {{rules}}

# Mutants of domain/ and plan/, e.g. `just mutants --only src/plan/gates.rs` (needs cargo-mutants)
mutants *arguments:
    tests/survives/mutants/run.py {{arguments}}

# What reads others' bytes (dumps, configurations, the ledger, AWS's answers), damaged so many times
fuzz cases="20000":
    PROPTEST_CASES={{cases}} cargo test --lib -- zip codec never_panics damage

# What CI asks before it tests
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# Everything that CI asks
ci:
    .ci/run

# Dependencies: advisories (from the network), licences, duplicates, sources
deny:
    "$(tests/support/deny.sh)" check

# The schema of the configuration, for editors
schema:
    cargo run --quiet -- config schema > config/gapmend.schema.json

# The release binary, the unit, the manual page and the completions on this machine (as root)
install root="/": release-binary
    install -D -m 0755 "${CARGO_TARGET_DIR:-target}/release/gapmend" "{{root}}/usr/bin/gapmend"
    deploy/systemd/install.sh "{{root}}"

# A release in dist/: archive, bill of materials, sums; the version and its changelog must be there
release:
    deploy/release.sh

# The image, image's root, unit and Terraform module, as far as one machine can hold them to the truth
check-deploy:
    cargo build
    deploy/check.sh "${CARGO_TARGET_DIR:-target}/debug/gapmend"

# An optimised binary
release-binary:
    cargo build --release --locked
