// SPDX-License-Identifier: Apache-2.0
import { render } from 'preact';

import { App } from './app/app';
import { followHistory } from './app/location';
import { openSession } from './app/session';
import { showTheme } from './app/theme';

showTheme();
followHistory();
void openSession();
render(<App />, document.getElementById('portal')!);
