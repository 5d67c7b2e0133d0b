import type { Test } from 'tap'
import {
  ELSEWHERE,
  ELSEWHERE_TOO,
  HOME,
  HOME_IPV6,
  next,
  OFFICE,
  type Scene,
  setUp,
} from './reuse-scene.ts'

/** A sequence that is the same in every run with the same seed. */
function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** The processes of one host, which share a file of credentials. */
class Host {
  readonly #scene: Scene
  readonly #pick: (below: number) => number
  readonly #habits: { processes: number; rereads: boolean; saves: boolean }
  readonly #memory: string[]
  #file: string
  /** All tokens that it ever held: what a thief may have copied. */
  readonly held: string[]

  constructor(
    scene: Scene,
    first: string,
    pick: (below: number) => number,
    habits: { processes: number; rereads: boolean; saves: boolean },
  ) {
    this.#scene = scene
    this.#pick = pick
    this.#habits = habits
    this.#file = first
    this.#memory = Array(habits.processes).fill(first)
    this.held = [first]
  }

  /** Some processes refresh at once from some of these networks; tells what any was refused with. */
  async act(networks: string[]): Promise<string[]> {
    const many = 1 + this.#pick(Math.min(3, this.#habits.processes))
    const refused: string[] = []
    await Promise.all(
      Array.from({ length: many }, async () => {
        const process = this.#pick(this.#habits.processes)
        if (this.#habits.rereads) this.#memory[process] = this.#file
        const from = networks[this.#pick(networks.length)] ?? HOME
        const fate = this.#pick(8)
        const answer = await next(this.#scene, this.#memory[process], from, this.#pick(2))
        if (!answer.startsWith('rt_')) refused.push(answer)
        // The answer is lost.
        else if (fate === 0) return
        // The process dies between the answer and the file, and starts again from the file.
        else if (fate === 1) this.#memory[process] = this.#file
        else {
          this.held.push(answer)
          this.#memory[process] = answer
          if (this.#habits.saves) this.#file = answer
        }
      }),
    )
    return refused
  }
}

/** Hosts of all habits, one for each seed, on networks that their sign-in is known by. */
export async function simulateHosts(t: Test, seeds: number): Promise<void> {
  const scene = await setUp(t)
  for (let seed = 1; seed <= seeds; seed += 1) {
    const pick = random(seed)
    const habits = {
      processes: 2 + pick(7),
      rereads: pick(2) === 0,
      saves: pick(4) !== 0,
    }
    let token = (await scene.signIn()).refresh_token ?? ''
    // Each network was seen: a token was used there, and home has met it.
    for (const from of [HOME, HOME_IPV6, HOME, OFFICE, HOME]) token = await next(scene, token, from)
    const host = new Host(scene, token, pick, habits)
    for (let step = 0; step < 25; step += 1) {
      const refused = await host.act([HOME, HOME_IPV6, OFFICE])
      t.same(refused, [], `seed ${seed}, step ${step}: ${JSON.stringify(habits)}`)
      if (refused.length > 0) break
      // Days go by only for those who look at the file: what others hold may be old by then.
      scene.clock.advance(pick(habits.rereads && habits.saves ? 200_000 : 100))
    }
  }
}

/** Hosts of all habits, one for each seed, and a thief elsewhere with one of their tokens. */
export async function simulateThieves(t: Test, seeds: number): Promise<void> {
  for (let seed = 1; seed <= seeds; seed += 1) {
    const pick = random(seed)
    const habits = { processes: 2 + pick(4), rereads: pick(2) === 0, saves: pick(4) !== 0 }
    const scene = await setUp(t)
    let token = (await scene.signIn()).refresh_token ?? ''
    for (const from of [HOME_IPV6, HOME]) token = await next(scene, token, from)
    const host = new Host(scene, token, pick, habits)
    for (let step = pick(8); step > 0; step -= 1) {
      await host.act([HOME, HOME_IPV6])
      scene.clock.advance(pick(60))
    }
    const { held } = host
    let stolen = held[pick(held.length)] ?? token
    for (let uses = 1 + pick(4); uses > 0; uses -= 1) {
      const answer = await next(scene, stolen, pick(2) ? ELSEWHERE : ELSEWHERE_TOO, pick(2))
      if (answer.startsWith('rt_')) stolen = answer
      scene.clock.advance(pick(4000))
    }
    const refused = await host.act([HOME, HOME_IPV6])
    t.not(refused.length, 0, `seed ${seed}: the host notices`)
    t.equal(
      await next(scene, stolen, ELSEWHERE),
      'invalid_grant',
      `seed ${seed}: and the thief too`,
    )
    t.equal(await next(scene, held.at(-1)), 'invalid_grant', `seed ${seed}: all of it has ended`)
  }
}
