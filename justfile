# The menu: `just` lists it. Each line is a call of `cargo xtask`, for those who have no just.

_menu:
    @just --list

# upload a plugin as an event and watch the stream react
demo *args:
    cargo xtask demo {{args}}

# install what the tests need and run all of them
test *args:
    cargo xtask test {{args}}

# measure Pelton beside the bare parts it is made of
bench *what:
    cargo xtask bench {{what}}

# send a daemon whatever its OpenAPI document allows, and forbids, and check the answers
fuzz-http *args:
    cargo xtask fuzz-http {{args}}

# build the plugins to target/plugins/
plugins *names:
    cargo xtask plugins {{names}}

# run every language's conformance processor on the same cases
conformance *languages:
    cargo xtask conformance {{languages}}

# write docs/gallery.md from the sources of the examples
gallery:
    cargo xtask gallery

# what must hold for every commit
ci:
    .ci/run
