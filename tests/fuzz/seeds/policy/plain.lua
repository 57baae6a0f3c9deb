-- SPDX-License-Identifier: MIT
-- The smallest policy: no system prompt, the whole history as far as it fits, the configured model.
return {}
