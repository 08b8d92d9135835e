import type { ProblemSlug } from '../../src/contract/problem.ts';
import type { endpoints } from '../../src/contract/registry.ts';
/** What somebody is answered: a problem, or nothing to object to. */
export type Verdict = ProblemSlug | 'served';
/** Who may do what an operation does to Ada's things. */
export interface Rule {
    /** What a caller who may do it would send. */
    readonly body?: unknown;
    readonly query?: string;
    readonly headers?: Record<string, string>;
    /** A signed-in user to whom nothing of it belongs. Absent where the operation knows nobody but its caller. */
    readonly stranger?: Verdict;
    /** A reader of the organisation and viewer of the room. */
    readonly reader?: Verdict;
    /** It gives or takes access, or reaches a host: it must know of an ended session at once. */
    readonly isPower?: true;
}
/** Every operation has its rule: the compiler misses one that has none. */
export declare const RULES: Readonly<Record<keyof typeof endpoints, Rule>>;
