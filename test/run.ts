/**
 * `npm test` runs every test and holds the coverage of the sources to the thresholds that `c8` has in
 * package.json. `npm test -- FILE…` runs these files alone, which cover too little to be held to it.
 */
import { spawnSync } from 'node:child_process'

const files = process.argv.slice(2)
const [program, ...args] = files.length > 0 ? ['tap', ...files] : ['c8', 'tap']
const { status, error } = spawnSync(program, args, { stdio: 'inherit' })
if (error !== undefined) throw error
process.exitCode = status ?? 1
