#!/usr/bin/env bash
# A small function that uses the Runtime API. The payload tells it what to do.
host=${AWS_LAMBDA_RUNTIME_API%:*}
port=${AWS_LAMBDA_RUNTIME_API#*:}

call() { # METHOD PATH BODY
    exec 3<>"/dev/tcp/$host/$port"
    printf '%s /2018-06-01/runtime/%s HTTP/1.1\r\nhost: lambda\r\nconnection: close\r\ncontent-length: %s\r\n\r\n%s' \
        "$1" "$2" "${#3}" "$3" >&3
    answer=$(tr -d '\r' <&3)
    exec 3>&-
}

echo "starting as $AWS_LAMBDA_FUNCTION_NAME, $MODE, home is ${HOME:-nowhere}"
if [[ $MODE == broken ]]; then
    echo "no settings" >&2
    exit 3
fi
while :; do
    call GET invocation/next ''
    id=$(sed -n 's/^lambda-runtime-aws-request-id: //p' <<<"$answer")
    payload=${answer##*$'\n'}
    # Some callers cannot choose the payload.
    [[ $MODE == always-* ]] && payload="\"${MODE#always-}\""
    case $payload in
    '"fail"') call POST "invocation/$id/error" '{"errorMessage":"asked to"}' ;;
    '"exit"') exit 7 ;;
    '"hang"') call GET invocation/next '' ;;
    *batch*) call POST "invocation/$id/response" '{"batchItemFailures":[]}' ;;
    *) call POST "invocation/$id/response" "$payload" ;;
    esac
done
