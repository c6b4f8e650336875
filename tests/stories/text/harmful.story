or when the verdict is *harmful*

ana starts emr-next at 20 %
wait until emr-next is serving
2 min pass
the canary begins to fail three requests where the baseline fails one
wait until emr-next is held
then no main rule stands
then users reach production 100 %
then nothing more is to be done
# The alarm stays, whoever looks and whenever.
10 min pass
then the phase is held
then the verdict is harmful
ana sets emr-next to 20 %
the canary fails as few requests as the baseline
ana overrules emr-next: the database was being restored at the time
ana sets emr-next to 20 %
30 s pass
then users reach production 60 %, baseline 20 %, canary 20 %
then main rules made so far: 2
# What was overruled does not count any more; the same harm, shown anew, does.
the canary begins to fail three requests where the baseline fails one
wait until emr-next is held
then the verdict is harmful
then main rules made so far: 2
ana destroys emr-next
wait until emr-next is destroyed

----------------------------------------
     0.0 s  Ana started "emr-next": canary and baseline are to get 20 % each.
     0.0 s  The files are being uploaded.
     0.0 s  Arya created the temporary bucket.
     0.0 s  Arya created the app security group.
     0.0 s  Arya created the monitor security group.
     0.0 s  Arya created the baseline target group.
     0.0 s  Arya created the canary target group.
     2.0 s  Arya began to upload file aaaaaaaaaaaa.
     2.0 s  Arya began to upload file bbbbbbbbbbbb.
     2.0 s  Arya began to upload file cccccccccccc.
     2.0 s  Arya launched the baseline instance.
     2.0 s  Arya launched the canary instance.
     2.0 s  Arya launched the monitor instance.
    24.0 s  The baseline instance is booting (20.0 s after its start).
    24.0 s  The canary instance is booting (20.0 s after its start).
    24.0 s  The monitor instance is booting (20.0 s after its start).
    32.0 s  The files are up; the instances are being made ready.
    36.0 s  The baseline instance has its container runtime ready (32.0 s after its start).
    36.0 s  The canary instance has its container runtime ready (32.0 s after its start).
    36.0 s  The monitor instance has its container runtime ready (32.0 s after its start).
    48.0 s  The baseline instance has fetched its files (44.0 s after its start).
    48.0 s  The canary instance has fetched its files (44.0 s after its start).
    48.0 s  The monitor instance has fetched its files (44.0 s after its start).
    60.0 s  The baseline instance has loaded its images (56.0 s after its start).
    60.0 s  The canary instance has loaded its images (56.0 s after its start).
    60.0 s  The monitor instance has loaded its images (56.0 s after its start).
    72.0 s  The baseline instance is up (68.0 s after its start).
    72.0 s  The canary instance is up (68.0 s after its start).
    72.0 s  The monitor instance is up (68.0 s after its start).
    72.0 s  The apps run; no user reaches them yet.
    84.0 s  The baseline instance is warmed up and ready (80.0 s after its start).
    84.0 s  The canary instance is warmed up and ready (80.0 s after its start).
    84.0 s  The monitor instance is warmed up and ready (80.0 s after its start).
    84.0 s  Arya registered the baseline instance in the baseline target group.
    84.0 s  Arya registered the canary instance in the canary target group.
    86.0 s  Arya created the probe rule at priority 49999.
    94.0 s  Arya began: the canary gets 20 % of matching traffic, the baseline 20 %.
    94.0 s  Arya created the main rule at priority 50000.
    96.0 s  Our main rule stands on the listener: canary and baseline get 20 % each.
    96.0 s  Users reach baseline and canary now.
   216.0 s  > the canary begins to fail three requests where the baseline fails one
   226.0 s  The judge removed the canary's traffic (before: 20 %). Harmful: the canary fails 1.2 % of requests (3,000 of 260,000), the baseline 1 % (2,600 of 260,000); sure of at least 1.04x.
   226.0 s  Users reach production only; the instances stand, and a person decides.
   226.0 s  Arya deleted the main rule.
   826.0 s  > ana sets emr-next to 20 %
   826.0 s  > refused: Harmful: the canary fails 1.2 % of requests (3,000 of 260,000), the baseline 1 % (2,600 of 260,000); sure of at least 1.04x. Traffic can be raised only after a person overrules it with a reason; the share was left as it is.
   826.0 s  > the canary fails as few requests as the baseline
   826.0 s  Ana overruled the harmful verdict: "the database was being restored at the time".
   826.0 s  Ana set the canary share to 20 % (before: 0 %).
   826.0 s  The apps run; no user reaches them yet.
   826.0 s  Arya created the main rule at priority 50000.
   828.0 s  Our main rule stands on the listener: canary and baseline get 20 % each.
   828.0 s  Judging goes on after a pause of 10 min.
   828.0 s  Verdict: Not enough evidence yet: no requests of both arms at the same time were counted, so there is nothing to compare.
   828.0 s  Users reach baseline and canary now.
   856.0 s  > the canary begins to fail three requests where the baseline fails one
   868.0 s  The judge removed the canary's traffic (before: 20 %). Harmful: the canary fails 1.6 % of requests (1,100 of 70,000), the baseline 1 % (700 of 70,000); sure of at least 1.33x.
   868.0 s  Users reach production only; the instances stand, and a person decides.
   868.0 s  Arya deleted the main rule.
   868.0 s  Ana asked for everything of ours to be removed.
   868.0 s  Everything of ours is being removed.
   868.0 s  Arya deleted the probe rule.
   930.0 s  Arya took the baseline instance out of the baseline target group.
   930.0 s  Arya took the canary instance out of the canary target group.
   930.0 s  Arya terminated the monitor instance.
   932.0 s  No new requests reach our instances; those they have are being finished.
   934.0 s  Arya deleted the baseline target group.
   934.0 s  Arya deleted the canary target group.
   934.0 s  Arya terminated the baseline instance.
   934.0 s  Arya terminated the canary instance.
   980.0 s  Arya deleted the app security group.
   980.0 s  Arya deleted the monitor security group.
   980.0 s  Arya emptied and deleted the temporary bucket.
  1012.0 s  Production is exactly as before: 0 differences.
----------------------------------------
emr-next is destroyed. Planned again: no steps.
Its restore proof: 0 differences.
Its users reach production 100 %.
The listener, its rules, its groups and their targets: exactly as before.
