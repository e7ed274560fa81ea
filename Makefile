# What `sam build` runs, once for each function. The first call builds all three, the others find that done.

# The architecture in the template. For the architecture of this machine: LAMBDA_TARGET= sam build
LAMBDA_TARGET ?= --arm64
CARGO_TARGET_DIR ?= target

build-Webhook: binary = webhook
build-Transcript: binary = transcript
build-Sweep: binary = sweep

build-Webhook build-Transcript build-Sweep:
	cargo lambda build --release --locked $(LAMBDA_TARGET)
	cp "$(CARGO_TARGET_DIR)/lambda/$(binary)/bootstrap" "$(ARTIFACTS_DIR)/"
