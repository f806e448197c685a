module pelton.dev/pelton

go 1.25

require go.bytecodealliance.org/pkg v0.2.3

replace go.bytecodealliance.org/pkg => ./third_party/go.bytecodealliance.org/pkg
