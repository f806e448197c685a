module http-client

go 1.25

require pelton.dev/pelton v0.0.0

require go.bytecodealliance.org/pkg v0.2.3 // indirect

replace (
	go.bytecodealliance.org/pkg => ./.pelton/plugins/sdk/go/third_party/go.bytecodealliance.org/pkg
	pelton.dev/pelton => ./.pelton/plugins/sdk/go
)
