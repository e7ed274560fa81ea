# `sam build` runs one of these targets for each function. The first target builds all three functions, and the others
# reuse that build.

# The default is the architecture in the template. To build for this machine, run: LAMBDA_TARGET= sam build
LAMBDA_TARGET ?= --arm64
CARGO_TARGET_DIR ?= target

build-Webhook: binary = webhook
build-Transcript: binary = transcript
build-Sweep: binary = sweep

build-Webhook build-Transcript build-Sweep:
	cargo lambda build --release --locked $(LAMBDA_TARGET)
	cp "$(CARGO_TARGET_DIR)/lambda/$(binary)/bootstrap" "$(ARTIFACTS_DIR)/"
