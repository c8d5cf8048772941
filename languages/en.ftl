# Texts of what the server writes: PDFs, letters, and the pages of customers. Those of the web
# application are in dashboard/src/texts.

## Dates and numbers

month = { $month ->
    [1] Jan
    [2] Feb
    [3] Mar
    [4] Apr
    [5] May
    [6] Jun
    [7] Jul
    [8] Aug
    [9] Sep
    [10] Oct
    [11] Nov
   *[12] Dec
}
# Beside a day of the week, where room is scarce.
short-month = { month }
weekday = { $weekday ->
    [1] Mon
    [2] Tue
    [3] Wed
    [4] Thu
    [5] Fri
    [6] Sat
   *[7] Sun
}
full-day = { $day } { month } { $year }
day-of-week = { weekday } { $day } { short-month }
full-time = { $day } { $time }
# A time of day beside its day, such as "Mon 2 Mar 07:30".
moment = { $day } { $time }
decimal-mark = { "." }
thousands-mark = { "," }
percent = { $rate }%

## All PDFs

page-of-pages = Page { $page } of { $pages }
# Who did something, and when.
by-at = by { $name }, { $at }
date = Date
time-zone = Time zone

## Quotes

quote = Quote
quote-label = { $revision ->
    [1] Q-{ $number }
   *[other] Q-{ $number } revision { $revision }
}
quote-draft = Draft
quote-for = For
quote-date = Date
quote-valid-until = Valid until
quote-currency = Currency
quote-description = Description
quote-quantity = Quantity
quote-unit-price = Unit price
quote-discount = Discount
quote-tax = Tax
quote-net = Net
quote-subtotal = Subtotal
quote-tax-of = Tax { $rate } of { $amount }
quote-total = Total { $currency }
quote-notes = Notes
quote-terms = Terms

acceptance = Acceptance
acceptance-sentence = Accepted by { $name } on { $at }.
acceptance-at = Accepted
acceptance-by = Accepted by
acceptance-on = On
acceptance-how = How
accepted-typed = by the name, as an electronic signature
accepted-drawn = by a drawn signature
accepted-by-hand = elsewhere, as a user of the organization has noted
acceptance-sha256 = SHA-256 of the quote
# What a customer agrees to. It is kept with each acceptance, under the number CONSENT_VERSION in
# operations/quotes/evidence.py: raise that when the text changes.
consent = I accept this quote and order the work in it at the stated price. I may do so for the customer. My name above, or the signature that I have drawn above, is my electronic signature. It binds like one on paper.

## The page of a quote's customer

page-parties = { $organization } for { $client }
page-quote-pdf = The quote as a PDF
page-accepted-pdf = The quote with the acceptance as a PDF
page-accept = Accept
page-signing-name = Your name, which is your signature unless you draw one
page-draw = Draw your signature, if you like:
page-clear = Clear
page-accept-button = Accept the quote
page-decline = Decline
page-name = Your name
page-reason = Why?
page-decline-button = Decline the quote
page-accepted-total = Quote { $label }, total { $total }.
page-copy = A copy goes to the address to which the quote was sent.
page-thanks = Thank you
page-declined = You have declined the quote.
page-fault-name = Please write your name.
page-fault-consent = Please read the sentence beside the box, and check the box.
page-fault-signature = The drawn signature cannot be used: please draw it again.
page-closed-accepted = This quote is accepted already.
page-closed-declined = This quote is declined already.
page-closed-expired = This quote has expired: ask for a new one.
page-closed-superseded = There is a later revision of this quote: use the link in its letter.
page-not-confirmed = The amounts of this quote are being checked: please ask who sent it.
page-not-ready = This quote is not ready yet: try again in a few minutes.
page-no-such-link = There is no quote at this address. Is the link complete?
page-ahead = This page is shown when you open it.
page-rate-limited = This page was opened too often. Please wait a minute, and open it again.
page-unknown-parameter = Something was added to the address of this page. Please open the link as it is in the letter.
page-too-many-requests = Too many answers arrive just now. Please open the link in the letter again in a minute.
page-unavailable = This page cannot be shown just now. Please open it again in a minute.
page-not-read = Your answer could not be read. Please open the link in the letter, and answer again.

## The page with the photos of an inspection

photos-title = Photos of an inspection
photos-need-script = This page needs JavaScript.
photos-asked = Sign in to see the photos.
photos-email = Email
photos-password = Password
# Before an example: <code>org_...</code>.
photos-organization = Organization, if the address belongs to several: its id,
photos-sign-in = Sign in
photos-count = Photos:
photos-each = A photo of the inspection
# Before what the API says, in English.
photos-failed = That was not possible:

## Letters

hello = Hello,
hello-name = Hello { $name },

invitation-subject = Invitation to { $organization }
invitation-beginning = You are invited to { $organization } on OPS Companion. Choose a password here:
invitation-end = The link is good once, for seven days.

password-reset-subject = A new password for { $organization }
password-reset-beginning = Somebody, probably you, wants a new password for { $organization } on OPS Companion. Choose it here:
password-reset-end = The link is good once, for an hour. If it was not you, there is nothing to do: your password stays as it is.

quote-letter-subject = Quote { $label } from { $organization }
quote-letter-beginning = { $organization } sends you the quote { $label }: { $title }.
quote-letter-link = See it, accept it or decline it here:
quote-letter-end = The quote is valid until { $day }. Whoever has this link can answer for you: keep it to yourself.

acceptance-letter-subject = Quote { $label } from { $organization } is accepted
acceptance-letter-beginning = { $name } has accepted the quote { $label } of { $organization }: { $title }.
acceptance-letter-total = The total is { $total }.
acceptance-letter-end = The quote with the acceptance is attached: keep it. For some time, the link in the letter with the quote shows it, too.

acceptance-notice-subject = Quote { $label } is accepted by { $name }
acceptance-notice-beginning = { $name } has accepted the quote { $label } for { $client }: { $title }.
acceptance-notice-end = The quote with the acceptance is attached. A reply to this letter goes to the customer.

endpoint-disabled-subject = A webhook endpoint of { $organization } was disabled
endpoint-disabled-beginning = The webhook endpoint { $endpoint } of { $organization } was disabled: { $reason } Nothing is sent to it any more.
# An endpoint with what its organization wrote about it.
endpoint-described = { $endpoint } ("{ $description }")
endpoint-disabled-failures = it has accepted nothing for a long time.
endpoint-disabled-gone = it answered 410, which says that it is gone.
endpoint-disabled-backlog = too many deliveries waited for it.
endpoint-disabled-user = a user disabled it.
endpoint-disabled-mend = Mend the receiver, and then enable the endpoint again:
endpoint-disabled-recover = What had failed can then be sent again:

report-letter-subject = { $name }: { $period }
report-letter-beginning = The report "{ $name }" of { $organization } ({ $report }) is ready: { $period }.
report-letter-end = You see it when you have signed in, with the rights that you have then. Admins and dispatchers change these letters on the page Report schedules.

## Timesheets

timesheet = Timesheet
timesheet-generated = Generated { $at }
timesheet-state-open = Open: not final
timesheet-state-submitted = Submitted: not approved
timesheet-state-approved = Approved
timesheet-state-rejected = Rejected
timesheet-state-locked = Approved and locked
timesheet-employee = Employee
timesheet-number = Number
timesheet-period = Period
timesheet-days = { $first } to { $last } { $year }
timesheet-day = Day
timesheet-in = In
timesheet-out = Out
timesheet-break = Break
timesheet-hours = Hours
timesheet-site = Site and remarks
timesheet-regular = Regular
timesheet-overtime = Overtime
timesheet-double = Double
timesheet-sum = Sum
timesheet-decimal-hours = In decimal hours
timesheet-doubtful = { $hours } of these hours are doubtful: not verified, or disputed, and not yet reviewed.
timesheet-adjusted = Adjustments make { $hours } of the sum.
timesheet-times = Times are local times of the time zone. +1: on the next day; −1: on the day before.
timesheet-notes = Notes on punches
timesheet-signature-employee = Employee: I confirm these hours.
timesheet-signature-office = Approved for payroll.
timesheet-shift-open = open
timesheet-rounding = Rounding
timesheet-adjustment = Adjustment: { $reason }
timesheet-own-hours = { $name } (own hours)
timesheet-loose = { $kind } without a shift
timesheet-reviewed = { $doubts }; reviewed
timesheet-by-server = by the server { $hours }
timesheet-note = { $kind } { $moment }: { $remark }
timesheet-server-saw = the server saw { $moment }
timesheet-not-reviewed = Not reviewed.
timesheet-count = { $count } { $what }
timesheet-entry = entered by hand
timesheet-entry-by = entered by hand by { $name }, { $at }: “{ $reason }”
review-accepted = Accepted by { $name }, { $at }
review-rejected = Rejected by { $name }, { $at }
review-without-note = { $review }.
review-with-note = { $review }: “{ $note }”

punch-in = In
punch-out = Out
punch-break-start = Break start
punch-break-end = Break end

verdict-verified = verified
verdict-unverified = unverified
verdict-failed = failed

flag-failed = failed
flag-unverified = unverified
flag-disputed = disputed
flag-already-in = already in
flag-not-in = not in
flag-already-on-break = already on break
flag-not-on-break = not on break
flag-late-out = late out
flag-not-employed = not employed
flag-missing-out = missing out
flag-missing-break-end = missing break end
flag-open = open
flag-own-adjustment = own adjustment

rule-outside = outside
rule-mock = mock
rule-teleport = teleport
rule-wrong-device = wrong device
rule-no-fix = no fix
rule-no-zone = no zone
rule-no-accuracy = no accuracy
rule-uncertain = uncertain
rule-stale = stale
rule-clock = clock
rule-offline = offline
rule-inside = inside

figure-accuracy = accuracy
figure-claimed-ahead = claimed ahead
figure-claimed-before-fix = claimed before fix
figure-delay = delay
figure-distance = distance
figure-elapsed = elapsed
figure-fix-age = fix age
figure-fix-ahead = fix ahead
figure-fix-before-claim = fix before claim
figure-limit = limit
figure-speed = speed
figure-tolerance = tolerance

## Work orders

order-label = Work order { $number }
order-work = Work
order-checklist = Checklist
order-parts = Parts
order-part-number = Number
order-part = Part
order-part-planned = Planned
order-part-used = Used
order-part-unit = Unit
order-photos = Photos
order-files = Other files
order-sign-off = Sign-off
order-signer = Name
order-signature = Signature
order-client = Client
order-site = Site
order-client-address = Address of the client
order-site-address = Address of the site
order-assigned-to = Assigned to
order-assets = Assets
order-priority = Priority
order-planned = Planned
order-planned-span = { $start } to { $end }
order-due = Due
order-started = Started
order-ended = Ended
order-worked = Worked
order-hours = { $hours } h
order-open-tasks = Signed with { $count } of { $all } items of the checklist not done.

order-state-draft = Draft
order-state-created = Created
order-state-assigned = Assigned
order-state-started = Started
order-state-on-hold = On hold
order-state-completed = Completed
order-state-closed = Closed
order-state-cancelled = Cancelled
order-state-cannot-complete = Cannot complete

priority-low = low
priority-normal = normal
priority-high = high
priority-urgent = urgent

## Inspections

inspection = Inspection
inspection-report = Inspection report
inspection-state-draft = Draft
inspection-state-superseded = Superseded
inspection-passed = Passed
inspection-failed = { $count ->
    [one] Failed: { $count } defect
   *[other] Failed: { $count } defects
}
inspection-not-submitted = not submitted
inspection-corrected-by = { $result }; corrected by { $form }
inspection-defects = Defects
inspection-asset = Asset
inspection-site = Site
inspection-address = Address
inspection-by = Inspected by
inspection-submitted-by = Submitted by
inspection-submitted = Submitted
inspection-template-version = Template version
inspection-corrects = Corrects
inspection-answer-pass = Pass
inspection-answer-fail = Fail
inspection-photos-missing = Cannot be shown: { $photos }
inspection-signature-missing = Signed; the signature cannot be shown.
inspection-more-photos = { $count ->
    [one] { $count } more photo is kept with the form.
   *[other] { $count } more photos are kept with the form.
}
inspection-photos-at = All photos in full size, for those who sign in:

## Reports

report-time = Time
report-span = { $start } to { $end }
report-sum = Sum
report-empty = There is nothing to report.
report-title-day = Daily report
report-title-trips = Trips
report-title-stops = Stops
report-title-visits = Visits
report-title-distance = Distance
report-title-utilization = Utilization
report-title-presence = Hours on site
report-column-name = Asset or employee
report-column-asset-name = Asset
report-column-zone-name = Zone
report-column-client-name = Client
report-column-client-names = Clients
report-column-tag = Tag
report-column-day = Day
report-column-week = Week of
report-column-first-fix-at = First fix
report-column-last-fix-at = Last fix
report-column-departed-at = Departure
report-column-arrived-at = Arrival
report-column-started-at = Begin
report-column-ended-at = End
report-column-entered-at = Entered
report-column-left-at = Left
report-column-duration-s = Duration
report-column-within-s = Duration
report-column-presence-s = Hours
report-column-time-s = All
report-column-driving-s = Driving
report-column-stopped-s = Standing
report-column-idle-s = Idle
report-column-parked-s = Parked
report-column-unknown-s = Unknown
report-column-driving-share = Driving
report-column-idle-share = Idle
report-column-parked-share = Parked
report-column-distance-m = km
report-column-top-speed-mps = Top km/h
report-column-trips = Trips
report-column-stops = Stops
report-column-visits = Visits
report-column-assets = Assets
report-column-start-zones = From
report-column-end-zones = To
report-column-zones = Zones
report-column-is-carried = Carried
