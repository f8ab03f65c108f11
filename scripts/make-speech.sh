#!/usr/bin/env bash
# Makes the speech file of the demo anew, with the speech synthesizer espeak-ng (Debian package
# espeak-ng). The file is in the repository; run this only to change it.
source "$(dirname "$0")/lib.sh"

command -v espeak-ng >/dev/null || apt_install espeak-ng
espeak-ng -v en-gb -s 150 -w "$ROOT/server/assets/speech.wav" \
  "Tachograph records a running service, once a second. <break time='1200ms'/> \
   When a queue fills, you see it fill. <break time='900ms'/> When a frame is dropped, it is counted." -m
