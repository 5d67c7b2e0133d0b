#!/usr/bin/env node
// Every Node since 10 parses this file, so that one that is too old gets a sentence instead of a
// SyntaxError: no import statement, and nothing newer than ECMAScript 2015 but import().
const NEEDED = 24

if (parseInt(process.versions.node, 10) < NEEDED) {
  process.stderr.write(
    `auth-agent needs Node.js ${NEEDED} or newer, and this is Node.js ${process.versions.node}. ` +
      'Install a current one from https://nodejs.org/en/download and try again. ' +
      'In a clone, npm ci installs one that npm start and npm run use.\n',
  )
  process.exitCode = 1
} else {
  import('./start.js')
}
