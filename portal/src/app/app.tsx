// SPDX-License-Identifier: Apache-2.0
// What fills the window: the sign-in, the forced change of a one-time password, or the portal. The
// address stays what it was, so that after signing in one is where one wanted to be.
import { ChangePassword } from '../screens/sign-in/change-password';
import { SignIn } from '../screens/sign-in/sign-in';
import { SignInAgain } from '../screens/sign-in/sign-in-again';
import { Loading, Problem } from '../parts/notice';
import { Layout } from './layout';
import { openSession, useSigned } from './session';

export function App() {
  const signed = useSigned();
  switch (signed.is) {
    case 'unknown':
      return <Loading />;
    case 'unreachable':
      return <main class="alone"><Problem sentence="The hub does not answer." onRetry={openSession} /></main>;
    case 'out':
      return <SignIn />;
    default:
      if (signed.session.mustChange) return <ChangePassword session={signed.session} forced />;
      return (
        <>
          <Layout session={signed.session} />
          {signed.is === 'ended' && <SignInAgain user={signed.session.user} />}
        </>
      );
  }
}
