import t from 'tap'
import { simulateHosts, simulateThieves } from '../oauth/grants/host-simulation.ts'

const SEEDS = 24

t.test('a host on networks that it is known by is never signed out', (t) => simulateHosts(t, SEEDS))

t.test('a thief elsewhere is noticed at the host’s next use', (t) => simulateThieves(t, SEEDS))
