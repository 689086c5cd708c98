import type { Owner } from '../../layers/tree/entries.ts'
import type { PhaseContext } from './context.ts'

/** The CNB user: -uid and -gid, or the user that started the binary. */
export function cnbUser({ inputs, io }: Pick<PhaseContext, 'inputs' | 'io'>): Owner {
  return { uid: inputs.number('uid') ?? io.user.uid, gid: inputs.number('gid') ?? io.user.gid }
}
