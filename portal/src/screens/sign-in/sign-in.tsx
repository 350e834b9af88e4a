// SPDX-License-Identifier: Apache-2.0
import { Heading } from '../../parts/heading';
import { SignInForm } from './form';

export function SignIn() {
  return (
    <main class="alone">
      <div class="card sign-in">
        <p class="sign-in-brand">Gemel</p>
        <Heading title="Sign in to the portal" />
        <SignInForm />
      </div>
    </main>
  );
}
