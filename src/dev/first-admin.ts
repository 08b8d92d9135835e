import type * as z from 'zod'
import type { Email } from '../contract/identity.ts'

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`

/**
 * Makes an account the first admin and puts it on record, as SQL for whoever may write to the database anyway. It changes nothing while
 * there is an admin who can act: from then on admins make admins. The last statement answers whom it made one, now or by this very text.
 */
export function firstAdminSql(email: z.output<typeof Email>, now: number): readonly string[] {
  const granted = `FROM platform_roles AS granted WHERE granted.role = 'admin' AND granted.granted_by = 'operator' AND granted.granted_at = ${now}`
  return [
    `INSERT INTO platform_roles (user_id, role, granted_by, granted_at)
      SELECT id, 'admin', 'operator', ${now} FROM users WHERE email = ${quoted(email)} AND disabled_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM platform_roles AS held JOIN users AS holder ON holder.id = held.user_id WHERE held.role = 'admin' AND holder.disabled_at IS NULL
      ) ON CONFLICT DO NOTHING`,
    `INSERT INTO audit_entries (at, actor_id, action, subject, cause, trace_id)
      SELECT ${now}, 'operator', 'role.grant', granted.user_id, 'admin', '${'0'.repeat(32)}' ${granted}`,
    `SELECT granted.user_id AS userId ${granted}`,
  ]
}
